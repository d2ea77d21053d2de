"""`mfprefect serve`."""

from __future__ import annotations

from pathlib import Path

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output

__all__ = ["serve"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True)
@click.option(
    "--uds", type=click.Path(path_type=Path), metavar="FILE", help="Listen on a unix socket."
)
@click.option("--root-path", default="", metavar="PATH", help="The path of the pages at a proxy.")
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="A further name of this console; repeat it."
)
@click.option(
    "--logon",
    type=click.Choice(["none", "proxy", "token"]),
    default="none",
    show_default=True,
    help="Who asks: nobody asks, a proxy's header, or tokens.",
)
@click.option("--actions", is_flag=True, help="Let people promote, roll back, retire, verify.")
@click.option(
    "--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE"
)
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--behind-tls", is_flag=True, help="A proxy on the way encrypts: take tokens.")
@common
def serve(
    out: Output,
    url: str | None,
    host: str,
    port: int,
    uds: Path | None,
    root_path: str,
    allow_host: tuple[str, ...],
    logon: str,
    actions: bool,
    certificate: Path | None,
    key: Path | None,
    behind_tls: bool,
) -> None:
    """Open the console: pages over models, sessions, scores and the audit trail.

    It listens on this machine alone. Anything else needs --logon, and so does --actions:
    see docs/console.md.
    """
    import mfprefect
    from mfprefect.console import ConsoleOptions, server

    server.require()
    with mfprefect.connect(url, retry_seconds=server.RETRY_SECONDS) as store:
        settings = store.database.settings.console
        options = ConsoleOptions(
            host=host,
            port=port,
            uds=uds,
            root_path=root_path,
            allowed_hosts=allow_host,
            actions=actions,
            logon=server.logon_of(logon, settings, store, uds),
            tls=behind_tls or certificate is not None,
            prefect_url=settings.prefect_url,
        )
        write_url = settings.write_url
        writer_url = url if write_url is None else write_url.get_secret_value()
        with mfprefect.connect(writer_url, retry_seconds=server.RETRY_SECONDS) as writer:
            place = str(uds) if uds is not None else options.address

            def ready() -> None:
                out.note(f"the console is at {place}; Ctrl-C ends it.")
                out.document({"address": place})

            server.run(store, writer, options, certificate=certificate, key=key, ready=ready)
