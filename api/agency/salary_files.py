"""Salary files at the agency door: sent by a maker, looked at, approved by a checker.

Promise: the file is stored before its receipt is answered, however large, in bounded memory; an
officer sees their own agency's files, what was written in them and what became of each line, and
never a balance or what anybody spends. Who calls: agency officers.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Parameter
from msgspec import Meta, Struct

from api.problems import Detail, answered
from api.resources import Resources
from api.security import StaffCaller, with_permission
from api.wire import PAGE, Cursor, Limit, Page, StepUp, page_of, read_cursor
from wallet.access import staff
from wallet.access.members import Permission
from wallet.identifiers import SalaryRunId, Secret
from wallet.outcomes import Declined, Facts, Outcome
from wallet.salary import runs
from wallet.salary.findings import FileFault, file_sentence, line_sentence
from wallet.salary.runs import LineState, LineView, Run, Upload
from wallet.work import Work

PART_BYTES: Final = 512 * 1024
IN_MEMORY_BYTES: Final = 1024 * 1024
"""A larger file waits on disk while it comes in, so that slow senders hold no memory."""


class ReceivedFile(Struct, frozen=True, kw_only=True):
    """It is stored and will be read; look at it until its state is CHECKED or REFUSED."""

    run_id: UUID
    sha256: Annotated[str, Meta(description="Of the bytes as received, in hex.")]
    state: Annotated[str, Meta(examples=["RECEIVED"])]


class ShownFault(Struct, frozen=True, kw_only=True):
    """Why nothing is paid from the file; `line_no` 0 is the file as a whole."""

    code: Annotated[str, Meta(examples=["sum_wrong"])]
    line_no: Annotated[int, Meta(examples=[220_002])]
    detail: Detail
    facts: Annotated[Facts, Meta(examples=[{"stated": "1309478", "found": "1309477"}])]


class ShownRun(Struct, frozen=True, kw_only=True):
    """A file and how far it is. Sums are whole riel. What a checker approves to be paid is
    `accepted_minor` over `accepted_lines`; `flagged_lines` of those carry a remark."""

    run_id: UUID
    state: Annotated[str, Meta(examples=["CHECKED"])]
    sha256: str
    size_bytes: int
    period: Annotated[str | None, Meta(examples=["2026-01"])]
    half: Annotated[int | None, Meta(examples=[1])]
    maker: UUID
    checker: UUID | None
    lines: Annotated[int, Meta(examples=[220_000])]
    sum_minor: Annotated[int | None, Meta(description="As written, over all lines.")]
    accepted_lines: int
    accepted_minor: int
    held_lines: int
    held_minor: int
    rejected_lines: int
    rejected_minor: int
    flagged_lines: int
    paid_lines: int
    paid_minor: int
    returned_lines: int
    returned_minor: int
    faults: list[ShownFault]
    received_at: datetime
    checked_at: datetime | None
    approved_at: datetime | None
    paid_at: datetime | None


class ShownLine(Struct, frozen=True, kw_only=True):
    """One line by its number in the file (the header is line 1)."""

    line_no: Annotated[int, Meta(examples=[17])]
    state: Annotated[str, Meta(examples=["REJECTED"])]
    code: Annotated[str | None, Meta(examples=["amount_grouped"])]
    detail: Detail | None
    other_line: Annotated[int | None, Meta(description="The line it collides with.")]
    staff_no: Annotated[str, Meta(examples=["0000012345"])]
    account_no: str
    amount_minor: Annotated[int, Meta(description="Whole riel; 0 when it could not be read.")]


class Approve(StepUp, frozen=True, kw_only=True):
    """The checker's second proof, and which file they looked at."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$", examples=["5f" * 32])]


class Turned(Struct, frozen=True, kw_only=True):
    run_id: UUID
    state: Annotated[str, Meta(examples=["APPROVED"])]


@dataclass
class _CsvOperation(Operation):
    """The body is read as it comes in, so the framework does not know of it: described here."""

    def __post_init__(self) -> None:
        text = OpenAPIMediaType(
            schema=Schema(type=OpenAPIType.STRING),
            example="staff_no,account_no,name_latin,name_khmer,amount_khr,period,half\n"
            "0000012345,1100000017,SOK Sovannara,សុខ សុវណ្ណារ៉ា,1309477,2026-01,1\n"
            "TOTAL,1,1309477\n",
        )
        self.request_body = RequestBody(content={"text/csv": text}, required=True)


@post(
    "/salary-files",
    status_code=202,
    guards=[with_permission(Permission.SALARY_SEND)],
    request_max_body_size=runs.LARGEST_FILE_BYTES,
    operation_class=_CsvOperation,
    summary="Send a salary file",
)
async def send(
    request: Request[Any, Any, Any],
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> ReceivedFile:
    """CSV in UTF-8, at most 64 MiB, with the last row `TOTAL,<count>,<sum>`. The same file again is
    refused, whatever its key; so is, once read, another file for the same period and half."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
        upload = await _spooled(request, spool)

        async def receive(work: Work) -> Outcome:
            return await runs.receive(work, caller, upload, _parts(spool))

        # An agency's people are with all three banks.
        outcome, _ = await resources.works.perform_once(
            caller.actor, None, "salary.receive", idempotency_key, upload.sha256, receive
        )
    return msgspec.convert(answered(outcome), ReceivedFile)


@get("/salary-files", summary="Your agency's salary files, newest first")
async def listed(
    caller: StaffCaller, resources: Resources, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[ShownRun]:
    key = read_cursor(cursor, tuple[UUID])
    found = await resources.works.read(
        caller.actor,
        None,
        lambda work: runs.runs_of(
            work, caller, before=SalaryRunId(key[0]) if key else None, limit=limit + 1
        ),
    )
    return page_of([_shown_run(run) for run in found], limit, lambda run: (run.run_id,))


@get("/salary-files/{run_id:uuid}", summary="One salary file: counts, sums, faults, progress")
async def one(run_id: UUID, caller: StaffCaller, resources: Resources) -> ShownRun:
    run = await resources.works.read(
        caller.actor, None, lambda work: runs.run_of(work, caller, SalaryRunId(run_id))
    )
    return _shown_run(run)


Wanted = Annotated[
    LineState | None,
    Parameter(query="state", description="Only these; without it, every line with a remark."),
]


@get("/salary-files/{run_id:uuid}/lines", summary="Lines of a salary file, by line number")
async def lines(
    run_id: UUID,
    caller: StaffCaller,
    resources: Resources,
    wanted: Wanted = None,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[ShownLine]:
    key = read_cursor(cursor, tuple[int])
    found = await resources.works.read(
        caller.actor,
        None,
        lambda work: runs.lines_of(
            work,
            caller,
            SalaryRunId(run_id),
            state=wanted,
            after=key[0] if key else 0,
            limit=limit + 1,
        ),
    )
    return page_of([_shown_line(line) for line in found], limit, lambda line: (line.line_no,))


@post(
    "/salary-files/{run_id:uuid}/approve",
    status_code=200,
    guards=[with_permission(Permission.SALARY_APPROVE)],
    summary="Release a checked file to be paid",
)
async def approve(
    run_id: UUID,
    data: Approve,
    caller: StaffCaller,
    resources: Resources,
    idempotency_key: str,
) -> Turned:
    """By another officer than who sent it. Its good lines are paid; rejected and held ones are
    not. It cannot be taken back."""

    async def second_factor(work: Work) -> Declined | None:
        return await staff.step_up(work, resources.vault, caller.id, Secret(data.totp))

    async def act(work: Work) -> Outcome:
        return await runs.approve(work, caller, SalaryRunId(run_id), data.sha256, second_factor)

    body = run_id.bytes + data.sha256.lower().encode()
    outcome, _ = await resources.works.perform_once(
        caller.actor, None, "salary.approve", idempotency_key, body, act
    )
    return msgspec.convert(answered(outcome), Turned)


@post(
    "/salary-files/{run_id:uuid}/recall",
    status_code=200,
    summary="Take back a file that is not approved yet",
)
async def recall(
    run_id: UUID, caller: StaffCaller, resources: Resources, idempotency_key: str
) -> Turned:
    """So that a corrected file can be sent for the same period and half."""
    outcome, _ = await resources.works.perform_once(
        caller.actor,
        None,
        "salary.recall",
        idempotency_key,
        run_id.bytes,
        lambda work: runs.recall(work, caller, SalaryRunId(run_id)),
    )
    return msgspec.convert(answered(outcome), Turned)


async def _spooled(request: Request[Any, Any, Any], spool: IO[bytes]) -> Upload:
    digest = hashlib.sha256()
    size = 0
    async for chunk in request.stream():
        digest.update(chunk)
        size += len(chunk)
        spool.write(chunk)
    return Upload(sha256=digest.digest(), size_bytes=size)


def _parts(spool: IO[bytes]) -> Iterator[bytes]:
    """The file from its start, each time it is asked for: a Work may be run again."""
    spool.seek(0)
    while part := spool.read(PART_BYTES):
        yield part


def _shown_run(run: Run) -> ShownRun:
    fields = msgspec.structs.asdict(run)
    shown = {name: fields[name] for name in ShownRun.__struct_fields__ if name in fields}
    return ShownRun(
        **{
            **shown,
            "run_id": run.id,
            "state": run.state.value,
            "sha256": run.sha256.hex(),
            "faults": [_shown_fault(fault) for fault in run.faults],
        }
    )


def _shown_fault(fault: FileFault) -> ShownFault:
    told = file_sentence(fault.code)
    return ShownFault(
        code=fault.code.value,
        line_no=fault.line_no,
        detail=Detail(en=told.en, km=told.km),
        facts=fault.facts,
    )


def _shown_line(line: LineView) -> ShownLine:
    told = None if line.code is None else line_sentence(line.code)
    return ShownLine(
        line_no=line.line_no,
        state=line.state.value,
        code=None if line.code is None else line.code.value,
        detail=None if told is None else Detail(en=told.en, km=told.km),
        other_line=line.other_line,
        staff_no=line.staff_no,
        account_no=line.account_no,
        amount_minor=line.amount_minor,
    )


HANDLERS: Final[list[Any]] = [send, listed, one, lines, approve, recall]
