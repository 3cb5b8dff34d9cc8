"""`tunesmith serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tunesmith.cli._options import AllowUnverified, AsJson, Host, Port, RuntimeName

if TYPE_CHECKING:
    from tunesmith.bundles import Registry
    from tunesmith.serving import Security, Serving
    from tunesmith.serving.security import TlsFiles

_ACCESS, _TLS, _LOG = "Keys", "TLS and proxies", "Log"


def serve(
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="BUNDLE", help="A bundle, or the run folder that holds one."),
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Serve the models of tunesmith deploy instead; or of a bucket, s3://….",
        ),
    ] = None,
    default: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --registry: who is asked where none is named."),
    ] = None,
    registry_cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where copies out of a bucket lie."),
    ] = None,
    registry_max: Annotated[
        float | None,
        typer.Option(metavar="GB", help="Copy no version that is larger; else 20.", min=0.001),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Keys of tunesmith keys.",
            rich_help_panel=_ACCESS,
            show_default=False,
        ),
    ] = None,
    no_auth: Annotated[
        bool,
        typer.Option("--no-auth", help="No key needed; loopback only.", rich_help_panel=_ACCESS),
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Certificate, with its chain.", rich_help_panel=_TLS),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Its key, if in another file.", rich_help_panel=_TLS),
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM", help="Clients need a certificate of these.", rich_help_panel=_TLS
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Go beyond loopback without TLS.", rich_help_panel=_TLS),
    ] = False,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR", help="Believe its X-Forwarded-For and -Proto.", rich_help_panel=_TLS
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A further name of this server.", rich_help_panel=_TLS),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="A second listener: metrics, health, deployments."),
    ] = None,
    admin_host: Annotated[str, typer.Option(help="That one's address.")] = "127.0.0.1",
    grpc_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Speak gRPC too (Open Inference Protocol v2)."),
    ] = None,
    log_format: Annotated[
        Literal["text", "json", "off"],
        typer.Option(help="A line a request; off: faults only.", rich_help_panel=_LOG),
    ] = "text",
    log_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Else standard error.", rich_help_panel=_LOG),
    ] = None,
    log_texts: Annotated[
        bool,
        typer.Option(
            "--log-texts",
            help="Log what is sent, personal data unmasked.",
            rich_help_panel=_LOG,
        ),
    ] = False,
    trusted_keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Serve only what a key of this file or folder signed (tunesmith sign).",
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    runtime: RuntimeName = None,
    allow_unverified: AllowUnverified = False,
    cache: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Keep the answers of so many texts.", show_default=False
        ),
    ] = 0,
    max_wait: Annotated[
        float,
        typer.Option(
            min=0.01, metavar="SECONDS", help="Refuse what would wait longer for its turn."
        ),
    ] = 2.0,
    otlp: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send traces to this OpenTelemetry collector."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Serve a bundle over HTTP, with a page to try it.

    Example: tunesmith serve runs/tickets/bundle --port 8080
    """
    from tunesmith.errors import InputError
    from tunesmith.serving import Security

    if (bundle is None) == (registry is None):
        what = "nothing to serve" if bundle is None else "a bundle and a registry are two things"
        raise InputError(what, mend="tunesmith serve BUNDLE, or tunesmith serve --registry FOLDER")
    if default is not None and registry is None:
        raise InputError("a bundle is the only model", where="--default", mend="leave it out")
    security = Security(
        keys=keys,
        no_auth=no_auth,
        insecure=insecure,
        tls=_tls(tls_cert, tls_key, tls_client_ca),
        trusted_proxies=tuple(trusted_proxy or ()),
        hosts=tuple(allowed_host or ()),
        admin_host=admin_host,
        admin_port=admin_port,
        grpc_port=grpc_port,
        log_format=log_format,
        log_file=log_file,
        log_texts=log_texts,
    )
    source = bundle or _registry(registry or "", registry_cache, registry_max, trusted_keys)
    serve_source(
        source,
        host,
        port,
        security=security,
        runtime_name=runtime,
        allow_unverified=allow_unverified,
        cache_entries=cache,
        trusted_keys=trusted_keys,
        default_model=default,
        max_wait_s=max_wait,
        otlp=otlp,
        as_json=as_json,
    )


def _registry(
    place: str, cache: Path | None, max_gb: float | None, trusted_keys: Path | None
) -> Registry:
    from tunesmith.bundles import MirroredRegistry, Registry, TrustedKeys, is_url
    from tunesmith.errors import InputError

    if is_url(place):
        trusted = None if trusted_keys is None else TrustedKeys.read(trusted_keys)
        limit = {} if max_gb is None else {"max_version_bytes": round(max_gb * 1e9)}
        return MirroredRegistry(place, cache, trusted=trusted, **limit)
    for option, value in (("--registry-cache", cache), ("--registry-max", max_gb)):
        if value is not None:
            raise InputError("a folder is followed where it is", where=option)
    return Registry(place)


def serve_source(
    source: Path | Registry,
    host: str,
    port: int,
    *,
    example: str = "Write the text to classify here",
    security: Security | None = None,
    runtime_name: str | None = None,
    allow_unverified: bool = False,
    cache_entries: int = 0,
    trusted_keys: Path | None = None,
    default_model: str | None = None,
    max_wait_s: float = 2.0,
    otlp: str | None = None,
    as_json: bool = False,
) -> None:
    """Serves, and says where once connections are accepted."""
    from rich.text import Text

    from tunesmith.cli._output import errors, print_json
    from tunesmith.serving import Limits, Security, curl_line
    from tunesmith.serving import serve as serve_until_stopped

    def ready(served: Serving) -> None:
        key = (served.key or "") if served.has_keys else None
        curl = curl_line(served.url, served.task, example, key)
        for warning in served.warnings:
            errors.print(Text(f"! {warning}", style="yellow"), soft_wrap=True)
        if as_json:
            print_json(_facts(served, curl))
        else:
            _print_served(served, curl)

    errors.print(Text(f"· loading {source}"))
    serve_until_stopped(
        source,
        host=host,
        port=port,
        security=security or Security(),
        limits=Limits(max_wait_s=max_wait_s),
        runtime_name=runtime_name,
        allow_unverified=allow_unverified,
        cache_entries=cache_entries,
        trusted_keys=trusted_keys,
        default_model=default_model,
        otlp=otlp,
        on_ready=ready,
    )


def _tls(certificate: Path | None, key: Path | None, authorities: Path | None) -> TlsFiles | None:
    from tunesmith.errors import ConfigError
    from tunesmith.serving.security import TlsFiles

    if certificate is not None:
        return TlsFiles(certificate, key, authorities)
    if key is not None or authorities is not None:
        where = "--tls-key" if key is not None else "--tls-client-ca"
        raise ConfigError("has no use without a certificate", where=where, mend="--tls-cert PEM")
    return None


def _facts(served: Serving, curl: str) -> dict[str, object]:
    return {
        "url": served.url,
        "page": served.page,
        "version": served.version,
        "key": served.key,
        "admin_url": served.admin_url,
        "grpc": served.grpc,
        "curl": curl,
    }


def _print_served(served: Serving, curl: str) -> None:
    from rich.text import Text

    from tunesmith.cli._output import errors, out

    link = "   (signs you in, once)" if served.key is not None else ""
    out.print(Text(f"page  {served.page}{link}"), soft_wrap=True)
    out.print(Text(f"docs  {served.url}/docs"))
    if served.admin_url is not None:
        out.print(Text(f"admin {served.admin_url}/metrics"))
    if served.grpc is not None:
        out.print(Text(f"grpc  {served.grpc}"))
    if served.key is not None:
        out.print(Text(f"key   {served.key}   (until this server stops)"), soft_wrap=True)
    elif not served.has_keys:
        errors.print(Text("! everyone on this machine may use the model", style="yellow"))
    out.print(Text(f"try   {curl}"), soft_wrap=True)
    errors.print(Text("Ctrl-C stops the server", style="dim"))
