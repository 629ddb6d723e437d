"""A `forbidden` import contract that may name rooms before they are built.

The walls of the house are written down whole from the first day; import-linter's own contract
refuses a name that is not on disk yet. Here such a name simply waits: from the commit that adds the
room, the wall stands.
"""

from typing import Any

from grimp import ImportGraph
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.domain.contract import ContractCheck


class Wall(ForbiddenContract):
    """As `forbidden`, minus the modules of ours that do not exist yet."""

    type_name = "wall"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        roots = set(self.session_options["root_packages"])

        def stands(expression: object) -> bool:
            name = str(expression)
            return "*" in name or name in graph.modules or name.split(".")[0] not in roots

        self.source_modules: Any = {e for e in self.source_modules if stands(e)}
        self.forbidden_modules: Any = {e for e in self.forbidden_modules if stands(e)}
        return super().check(graph, verbose)
