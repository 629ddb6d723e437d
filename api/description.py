"""The API described: OpenAPI 3.1 at /openapi.json, and a page to read and try it at /docs.

Promise: the page is made of files that stand on this machine; it loads nothing from anywhere else
and works without internet. Every operation says who may call it and how it refuses.
Who calls: the application frame.
"""

from importlib import resources as package_files
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Reference, SecurityScheme, Server, Tag
from litestar.response import File

from api.examples import example_of
from api.problems import PROBLEM_TYPE, Problem, problem_of
from api.security.headers import OWN_PAGE
from wallet.outcomes import Reason, Refused

VERSION: Final = "1"

ASSETS: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_STATIC: Final = Path(str(package_files.files("swagger_ui"))) / "static"

_START: Final = """
window.ui = SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null,
  persistAuthorization: false, tryItOutEnabled: true
});
"""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Smart ID Wallet API</title>
<link rel="icon" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_INTRODUCTION: Final = """
Six doors, one for each kind of caller. What a phone does to money or credentials is an *intent*:
ask for it, show the server's own words, sign them, send the signature (and, where `needs` says so,
a one-time password).

Every refusal is a problem document (RFC 9457) with a stable `code`, a sentence in English and in
Khmer, and `retryable`. `declined: true` means a decision was recorded; otherwise nothing happened.
Writes that are not intents need an `Idempotency-Key`: a repeat gets the first answer.
Lists are pages: pass `next` as `cursor`.
"""

_TAGS: Final = [
    Tag(name="mobile", description="The holder's phone."),
    Tag(name="atm", description="The banks' ATM hosts, every request and answer signed."),
    Tag(name="agency", description="Agency officers: payroll and applications."),
    Tag(name="bank", description="Bank clerks: pairing at the branch, freezing."),
    Tag(name="support", description="Support agents: disputes."),
    Tag(name="admin", description="Who works here, and who may do what."),
    Tag(name="health", description="For the machine room."),
]

_SCHEMES: Final[dict[str, SecurityScheme | Reference]] = {
    "holder": SecurityScheme(
        type="http", scheme="bearer", description="The token of POST /v1/mobile/sessions."
    ),
    "staff": SecurityScheme(
        type="apiKey",
        name="__Host-smartid-staff",
        security_scheme_in="cookie",
        description="The cookie of the door's own POST .../sessions. What writes carries the "
        "session's `csrf_token` as `X-CSRF-Token` beside it.",
    ),
    "atm": SecurityScheme(
        type="apiKey",
        name="Signature",
        security_scheme_in="header",
        description="RFC 9421, tag `smartid-atm`, over @method @authority @path @query "
        "content-digest idempotency-key x-terminal-id, with created, expires (60 s), nonce, keyid.",
    ),
    "machine": SecurityScheme(
        type="apiKey",
        name="Signature",
        security_scheme_in="header",
        description="A bank's or an agency's own system: RFC 9421, tag `smartid-bank` or "
        "`smartid-agency`, over @method @authority @path @query content-digest idempotency-key, "
        "with created, expires (60 s), nonce, keyid. The answer is signed, tag `smartid-answer`.",
    ),
}

_COMMON_REFUSALS: Final = {
    "400": Reason.INVALID_REQUEST,
    "401": Reason.UNAUTHENTICATED,
    "403": Reason.FORBIDDEN,
    "404": Reason.NOT_FOUND,
    "408": Reason.TOO_SLOW,
    "409": Reason.IN_FLIGHT,
    "413": Reason.TOO_LARGE,
    "422": Reason.IDEMPOTENCY_KEY_REUSED,
    "423": Reason.LOCKED,
    "429": Reason.RATE_LIMITED,
    "500": Reason.INTERNAL,
    "503": Reason.BUSY,
}


_DECLINED: Final = {"402": Reason.INSUFFICIENT_FUNDS}
"""What only a request that moves something can hear."""


class _Document(OpenAPIRenderPlugin):
    """The document itself, with what every operation has in common written in."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._rendered is None:
            # The framework's own enums are strings only once encoded.
            plain = msgspec.json.decode(msgspec.json.encode(openapi_schema))
            document = completed(plain, open_operations(request.app))
            self._rendered = msgspec.json.encode(document)
        return self._rendered


class _OnlyTheDocument(Router):
    """The framework would also answer `/` and every unknown address with a page of its own."""

    def register(self, value: Any) -> Any:
        value.paths = {path for path in value.paths if path == "/openapi.json"}
        return super().register(value) if value.paths else []


def described() -> OpenAPIConfig:
    """The framework's configuration for all of this."""
    return OpenAPIConfig(
        title="Smart ID Wallet",
        version=VERSION,
        summary="One card that is staff identity and bank card at once.",
        description=_INTRODUCTION.strip(),
        servers=[Server(url="/", description="This server")],
        tags=_TAGS,
        components=Components(security_schemes=_SCHEMES),
        use_handler_docstrings=True,
        render_plugins=[_Document()],
        openapi_router=_OnlyTheDocument("/", route_handlers=[], include_in_schema=False),
    )


def open_operations(app: Litestar) -> set[tuple[str, str]]:
    """Path and method of every handler that says it is open to strangers."""
    return {
        (route.path_format, method.lower())
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if handler.opt.get("anonymous")
        for method in handler.http_methods
    }


def completed(document: dict[str, Any], strangers: set[tuple[str, str]]) -> dict[str, Any]:
    """Write into every operation its tag, who may call it, an example of each body, the refusals
    all share, and that writes need their header (optional to the framework only so that its
    absence gets our own answer)."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    [problem], defined = msgspec.json.schema_components(
        [Problem], ref_template="#/components/schemas/{name}"
    )
    schemas.update(defined)
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if not isinstance(operation, dict):
                continue
            if (path, method) in strangers:
                operation["security"] = []
            _show_bodies(operation, schemas)
            _mark_keys(operation)
            if path.startswith("/v1/"):
                operation.setdefault("tags", [path.split("/")[2]])
                declining = {} if method == "get" else _DECLINED
                _add_refusals(operation, {**_COMMON_REFUSALS, **declining}, problem)
    return document


def _show_bodies(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    bodies = [operation.get("requestBody", {}), *operation.get("responses", {}).values()]
    for body in bodies:
        for content in body.get("content", {}).values():
            if not {"example", "examples"} & content.keys() and "schema" in content:
                content["example"] = example_of(content["schema"], schemas)


def _mark_keys(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter.get("name") == "Idempotency-Key":
            parameter["required"] = True
            parameter["schema"] = {"type": "string", "minLength": 1, "maxLength": 255}
            parameter["example"] = "b1f0c4f2-6c1e-4f43-9d5e-6f2f3f7f0a11"


def _add_refusals(
    operation: dict[str, Any], refusals: dict[str, Reason], schema: dict[str, Any]
) -> None:
    responses = operation.setdefault("responses", {})
    for status, reason in sorted(refusals.items()):
        example = msgspec.to_builtins(problem_of(reason))
        responses[status] = {
            "description": example["title"],
            "content": {PROBLEM_TYPE: {"schema": schema, "example": example}},
        }


@get("/docs", media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
def docs() -> Response[str]:
    return Response(_PAGE, headers={"content-security-policy": OWN_PAGE})


@get("/docs/start.js", include_in_schema=False, sync_to_thread=False)
def start() -> Response[str]:
    return Response(_START, media_type="text/javascript")


@get("/docs/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
def asset(name: str) -> File:
    """One of the few files of the installed package that the page needs."""
    if name not in ASSETS:
        raise Refused(Reason.NOT_FOUND)
    return File(_STATIC / name, media_type=ASSETS[name], content_disposition_type="inline")
