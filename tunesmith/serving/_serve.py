"""From a bundle's folder to a served model, in one call."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI

from tunesmith.bundles import Bundle, Registry, TrustedKeys, open_bundle
from tunesmith.errors import InputError
from tunesmith.memory import keep_large_blocks_apart
from tunesmith.runtimes import Runtime, load
from tunesmith.serving._cache import ResultCache
from tunesmith.serving._options import Security
from tunesmith.serving.access_log import logging_to
from tunesmith.serving.app import Guards, create_admin_app, create_app, create_registry_app
from tunesmith.serving.catalogue import bundle_details
from tunesmith.serving.limits import Limits
from tunesmith.serving.rpc import RpcAddress, RpcListener
from tunesmith.serving.security import Tls
from tunesmith.serving.server import Listener, run
from tunesmith.serving.tracing import traced, why_not_traced
from tunesmith.tasks import Task

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Serving", "curl_line", "serve"]

_DEFAULT_LIMITS = Limits()
_DEFAULT_SECURITY = Security()


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that accepts connections.

    Attributes:
        url: its base URL.
        page: where a person opens the page; with a token that signs in once, if there is one.
        task: what the model does, or the first of them.
        version: of the bundle; None for a registry, whose versions change.
        has_keys: whether a key is needed.
        key: the key that was made for this start; None where a file has keys, or none is needed.
        admin_url: the admin listener's base URL, if there is one.
        grpc: where gRPC is spoken, HOST:PORT, if it is.
        warnings: what its user should know, in sentences.
    """

    url: str
    page: str
    task: Task
    version: str | None
    has_keys: bool
    key: str | None = None
    admin_url: str | None = None
    grpc: str | None = None
    warnings: tuple[str, ...] = ()


def serve(
    source: Bundle | Registry | Path | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    security: Security = _DEFAULT_SECURITY,
    limits: Limits = _DEFAULT_LIMITS,
    runtime_name: str | None = None,
    allow_unverified: bool = False,
    cache_entries: int = 0,
    trusted_keys: Path | None = None,
    default_model: str | None = None,
    otlp: str | None = None,
    on_ready: Callable[[Serving], None] | None = None,
) -> None:
    """Serves a bundle, or all models of a registry, until SIGINT or SIGTERM.

    Args:
        source: the bundle, or its folder; or the registry, whose changes are followed.
        host: a name or an address of this machine.
        port: 0 picks a free one.
        security: who may use the model, and over what.
        limits: the caps on requests.
        runtime_name, allow_unverified: see `runtimes.load`.
        cache_entries: how many texts' answers are kept at most; 0: none.
        trusted_keys: public keys, a file or a folder, of which one must have signed whatever is
            served; None: it need not be signed.
        default_model: of a registry, the model that is asked where a request names none; None: the
            only one.
        otlp: the base URL of the collector that traces are sent to, by OTLP over HTTP; None: where
            the variable OTEL_EXPORTER_OTLP_ENDPOINT says, or nowhere.
        on_ready: called once connections are accepted.

    Raises:
        ConfigError: the keys, the trusted keys or the certificate cannot be used, options
            contradict one another, or the collector's address is none.
        MissingDependencyError: traces are wanted, and the extra "otel" is not installed.
        OutputError: an address cannot or may not be listened on.
        InputError: the registry's folder is not there.
        BundleError: the bundle is missing, incomplete, or was changed.
        ConfigError: the bundle has no runtime of that name, or one that did not pass the gate.
        MissingDependencyError: what its runtimes need is not installed.

    Whatever is wrong with addresses, keys and certificates is found before the model is loaded.
    """
    security.check(host, port)
    _check_registry(source)
    keep_large_blocks_apart()
    access, tls = security.access(), security.opened_tls()
    trusted = None if trusted_keys is None else TrustedKeys.read(trusted_keys)

    def loaded(bundle: Bundle) -> Runtime:
        return load(bundle, runtime_name, allow_unverified=allow_unverified)

    with logging_to(security.log_format, security.log_file), traced(otlp) as tracer:
        guards = Guards(
            access,
            security.hosts_of(host),
            security.trusted_proxies,
            limits,
            log_texts=security.log_texts,
        )
        cache = ResultCache(cache_entries) if cache_entries else None
        task, version, app = _app(source, guards, loaded, cache, trusted, default_model, tracer)
        admin_urls: list[str] = []
        grpc_addresses: list[str] = []
        untraced = why_not_traced(otlp)
        warnings = () if untraced is None else (untraced,)

        def ready(url: str) -> None:
            if on_ready is not None:
                token = None if access is None else access.login_token
                on_ready(
                    Serving(
                        url,
                        page=f"{url}/" if token is None else f"{url}/login#{token}",
                        task=task,
                        version=version,
                        has_keys=access is not None,
                        key=None if access is None else access.start_key,
                        admin_url=admin_urls[0] if admin_urls else None,
                        grpc=grpc_addresses[0] if grpc_addresses else None,
                        warnings=(*warnings, *(() if tls is None else tls.warnings)),
                    )
                )

        admin = _admin(app, security, guards, admin_urls.append)
        rpc = _rpc(app, security, host, guards, tls, tracer)
        run(
            app,
            host=host,
            port=port,
            on_ready=ready,
            limits=limits,
            tls=tls,
            admin=admin,
            rpc=rpc,
            on_rpc=grpc_addresses.append,
        )


def _check_registry(source: Bundle | Registry | Path | str) -> None:
    """A slip of the pen would be a server that waits for models for ever."""
    if isinstance(source, Registry) and not source.folder.is_dir():
        raise InputError(
            "there is no such folder",
            where=f"--registry {source}",
            mend="tunesmith deploy NAME BUNDLE --registry FOLDER makes one",
        )


def _app(
    source: Bundle | Registry | Path | str,
    guards: Guards,
    load: Callable[[Bundle], Runtime],
    cache: ResultCache | None,
    trusted: TrustedKeys | None,
    default: str | None,
    tracer: Tracer | None,
) -> tuple[Task, str | None, FastAPI]:
    """What is served does, its version where there is but one, and the app."""
    if isinstance(source, Registry):
        app = create_registry_app(
            source,
            guards=guards,
            load=load,
            cache=cache,
            trusted=trusted,
            default=default,
            tracer=tracer,
        )
        return app.state.catalogue.task, None, app
    if isinstance(source, Bundle) and trusted is None:
        bundle = source
    else:  # a `Bundle` too: what it was opened with is not known here
        folder = source.path if isinstance(source, Bundle) else source
        bundle = open_bundle(folder, trusted=trusted)
    runtime = load(bundle)
    app = create_app(
        runtime,
        name=bundle.manifest.name,
        details=bundle_details(bundle),
        guards=guards,
        cache=cache,
        tracer=tracer,
    )
    return runtime.task, runtime.version, app


def _admin(
    app: FastAPI, security: Security, guards: Guards, on_ready: Callable[[str], None]
) -> Listener | None:
    if security.admin_port is None:
        return None
    own = replace(guards, allowed_hosts=security.hosts_of(security.admin_host))
    admin_app = create_admin_app(app, guards=own)
    return Listener(admin_app, security.admin_host, security.admin_port, on_ready)


def _rpc(
    app: FastAPI,
    security: Security,
    host: str,
    guards: Guards,
    tls: Tls | None,
    tracer: Tracer | None,
) -> RpcListener | None:
    if security.grpc_port is None:
        return None
    return RpcListener(
        RpcAddress(host, security.grpc_port),
        app.state.catalogue,
        access=guards.access,
        limits=guards.limits,
        metrics=app.state.metrics,
        tls=tls,
        tracer=tracer,
    )


def curl_line(url: str, task: Task, example: str, authorization: str | None = None) -> str:
    """A command, for a POSIX shell, that asks the server at `url` about `example`.

    Args:
        url: the server's base URL.
        task: what the model does.
        example: a text.
        authorization: the key; "" stands for what the variable TUNESMITH_KEY holds; None: no key.
    """
    names = [field.name for field in task.fields]
    item: object = example if len(names) == 1 else dict.fromkeys(names, example)
    body = json.dumps({"texts": [item]}, ensure_ascii=False)
    words = ["curl", shlex.quote(url + "/v1/predict")]
    if authorization is not None:
        bearer = f"authorization: Bearer {authorization or '$TUNESMITH_KEY'}"
        words += ["-H", shlex.quote(bearer) if authorization else f'"{bearer}"']
    words += ["-H", shlex.quote("content-type: application/json"), "-d", shlex.quote(body)]
    return " ".join(words)
