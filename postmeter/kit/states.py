"""State machines as data: states with their arrows beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Machine(Generic[S]):
    """Where a thing starts and which arrows it may follow. A state without arrows is final."""

    starts: frozenset[S]
    arrows: Mapping[S, frozenset[S]]

    def allows(self, source: S, target: S) -> bool:
        return target in self.arrows.get(source, frozenset())

    def sources_of(self, target: S) -> frozenset[S]:
        """The states from which `target` can be reached in one step: what a compare-and-swap must name."""
        return frozenset(source for source, targets in self.arrows.items() if target in targets)

    @property
    def finals(self) -> frozenset[S]:
        return frozenset(state for state, targets in self.arrows.items() if not targets)

    def mermaid(self) -> str:
        """The diagram that stands in the room's README; a house test keeps the two alike."""
        lines = ["stateDiagram-v2"]
        lines += [f"    [*] --> {state}" for state in self.arrows if state in self.starts]
        for source, targets in self.arrows.items():
            lines += [f"    {source} --> {target}" for target in self.arrows if target in targets]
            if not targets:
                lines.append(f"    {source} --> [*]")
        return "\n".join(lines)
