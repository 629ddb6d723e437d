"""The application frame: every door behind one set of rules.

Promise: whatever goes wrong leaves as a problem document that tells nothing of the inside; bodies
are bounded before they are read; every answer carries the security headers. Who calls: runtime.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

from litestar import Litestar, Request, Response, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.plugins.prometheus import PrometheusConfig, PrometheusController
from msgspec import inspect

from api import description
from api.edge import Edge
from api.express import Express, Stop, refuse
from api.failures import Failures
from api.health import health
from api.intake import Patience, hurried, refuse_odd_address
from api.problems import (
    PROBLEM_TYPE,
    DeclinedProblem,
    Problem,
    headers_of,
    problem_of,
    problem_of_error,
)
from api.resources import SLOW_AFTER_S, Resources
from api.security import idempotency_key, securing
from api.wire import LARGEST_BODY, StrictRequest
from notifications.live import Listeners
from wallet.access.sessions import Recognition
from wallet.outcomes import Reason, Refused
from wallet.simulation import keep_up

DOORS: Final = ("mobile", "atm", "agency", "bank", "support", "admin", "console", "callbacks")
SIMULATION: Final = "sim"
"""The door of an imagined card network: only where the policy says so."""

_log: Final = logging.getLogger("smartid.api")

_REASON_OF_STATUS: Final = {
    401: Reason.UNAUTHENTICATED,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    413: Reason.TOO_LARGE,
    429: Reason.RATE_LIMITED,
    503: Reason.UNAVAILABLE,
}


def create_app(resources: Resources, doors: Sequence[Router] | None = None) -> Litestar:
    """The whole API on these resources, or only the `doors` given.

    Raises LooseBodyError for a door with a loose body.
    """
    listeners = Listeners(resources.redis)
    failures = Failures(resources.throttle)
    metrics = PrometheusConfig(app_name="smartid", prefix="smartid", group_path=True)
    app = Application(
        route_handlers=[
            *(_doors(resources) if doors is None else doors),
            health,
            _Metrics,
            description.docs,
            description.start,
            description.asset,
        ],
        dependencies={
            "resources": Provide(_resources),
            "idempotency_key": Provide(idempotency_key, sync_to_thread=False),
        },
        exception_handlers={
            Refused: _answered,
            DeclinedProblem: _answered,
            HTTPException: _http_error,
            Exception: _defect,
        },
        middleware=[metrics.middleware],
        on_shutdown=[listeners.close, failures.close],
        request_class=StrictRequest,
        request_max_body_size=LARGEST_BODY,
        openapi_config=description.described(),
        logging_config=None,
        pdb_on_exception=False,
        debug=False,
    )
    app.state.resources = resources
    app.edge = Edge(resources.policy.proxies)
    app.slow_after_s = resources.policy.slow_after_s
    app.patience = Patience()
    if resources.policy.simulation:
        app.keep_up = partial(keep_up, resources.database, resources.clock)
    app.state.recognition = Recognition(resources.works)
    app.state.listeners = listeners
    app.state.failures = failures
    refuse_loose_bodies(app)
    if doors is None:
        app.express = Express(app, _express_stops(), metrics)
    return app


class Application(Litestar):
    """The framework's application, every answer of which carries the security headers. Wrapping
    once here is cheaper than its own hook for each message, and covers its own errors too."""

    express: Express | None = None
    edge = Edge(())
    slow_after_s = SLOW_AFTER_S
    patience: Patience
    keep_up: Callable[[], Awaitable[None]] | None = None
    """Of a demonstration: look how far its clock was advanced by another process."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if self.keep_up is not None:
            await self.keep_up()
        self.edge.settle(scope)
        receive = hurried(receive, self.slow_after_s, self.patience)
        try:
            refuse_odd_address(scope)
        except Refused as refused:
            await refuse(refused, send)
            return
        if self.express is not None and (ride := self.express.serving(scope)) is not None:
            await ride(scope, receive, send)
        else:
            await super().__call__(scope, receive, securing(send))


class LooseBodyError(TypeError):
    """A request body would silently drop fields it does not know."""


def refuse_loose_bodies(app: Litestar) -> None:
    """Start-up check: every Struct in every request body forbids unknown fields."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            field = handler.parsed_data_field if isinstance(handler, HTTPRouteHandler) else None
            if field is not None:
                for loose in _loose(inspect.type_info(field.annotation)):
                    raise LooseBodyError(f"{handler.handler_name}: {loose.__name__}")


def _loose(info: inspect.Type) -> Sequence[type]:
    found: list[type] = []
    if isinstance(info, inspect.StructType):
        if not info.forbid_unknown_fields:
            found.append(info.cls)
        for field in info.fields:
            found.extend(_loose(field.type))
    elif isinstance(info, inspect.UnionType):
        for member in info.types:
            found.extend(_loose(member))
    elif isinstance(info, inspect.CollectionType):
        found.extend(_loose(info.item_type))
    elif isinstance(info, inspect.DictType):
        found.extend(_loose(info.value_type))
    return found


class _Metrics(PrometheusController):
    include_in_schema = False


def _packages(names: Sequence[str] = DOORS) -> list[ModuleType]:
    """The package of every door there is."""
    found = [find_spec(f"api.{name}") for name in names]
    return [import_module(spec.name) for spec in found if spec and spec.origin]


def _doors(resources: Resources) -> list[Router]:
    names = (*DOORS, SIMULATION) if resources.policy.simulation else DOORS
    return [door.router for door in _packages(names)]


def _express_stops() -> list[Stop]:
    return [stop for door in _packages() for stop in getattr(door, "EXPRESS", ())]


async def _resources(request: Request[Any, Any, Any]) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


def _answered(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """What an act left with: refused, or declined."""
    problem = problem_of_error(error)
    assert problem is not None  # noqa: S101 - registered for these two alone
    failures: Failures = request.app.state.failures
    failures.saw(problem.code)
    return rendered(problem)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """What the framework itself refuses: no such address, method, parameter or size."""
    if isinstance(error, ValidationException):
        return rendered(problem_of(Reason.INVALID_REQUEST, fields=_fields(error)))
    if error.status_code >= 500:
        return _defect(request, error)
    return rendered(problem_of(_REASON_OF_STATUS.get(error.status_code, Reason.INVALID_REQUEST)))


def _defect(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """A fault of ours: the log gets where, by kind and place; the caller gets no detail."""
    _log.error("%s %s failed", request.method, request.scope.get("path_template"), exc_info=error)
    return rendered(problem_of(Reason.INTERNAL))


def _fields(error: ValidationException) -> dict[str, str]:
    extra = error.extra if isinstance(error.extra, list) else []
    told = {str(one.get("key", "request")): str(one.get("message", "")) for one in extra}
    if told.pop("data", None) is not None:  # the framework's word for a body that is not there
        told["body"] = "Expected JSON"
    return told or {"request": error.detail}


def rendered(problem: Problem) -> Response[Problem]:
    """The problem as an answer, with the headers that belong to it."""
    return Response(
        problem,
        status_code=problem.status,
        media_type=PROBLEM_TYPE,
        headers=headers_of(problem),
    )
