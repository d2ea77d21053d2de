// Times in the reader's zone, and pages of what runs kept fresh. Everything works without it.
"use strict";

(() => {
  const two = (number) => String(number).padStart(2, "0");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

  const localise = (root) => {
    if (zone === "" || zone === "UTC" || zone === "Etc/UTC") return;
    for (const element of root.querySelectorAll("time[datetime]")) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      element.title = element.textContent;
      element.textContent =
        `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
        `${two(at.getHours())}:${two(at.getMinutes())}`;
    }
    for (const note of root.querySelectorAll("[data-zone]")) {
      note.textContent = `Times without a zone are in ${zone}, those with UTC are UTC.`;
    }
  };

  const refresh = async (element) => {
    const seconds = Number(element.dataset.live);
    while (document.querySelector("[data-live]")) {
      await new Promise((done) => setTimeout(done, seconds * 1000));
      if (document.hidden) continue;
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) continue;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = fresh.querySelector("#live");
      const old = document.querySelector("#live");
      if (now === null || old === null) return location.reload();
      localise(now);
      old.replaceWith(document.adoptNode(now));
    }
  };

  localise(document);
  const live = document.querySelector("[data-live]");
  if (live !== null) refresh(live);
})();
