"""Where a module's children are kept, and how code sets and reads one by its name."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from netspec.backends.lowering import NotLowered
from netspec.backends.source.plan import Routine, Step, all_items

# Names that `nn.Module`, `nn.Sequential` and `nn.ModuleDict` have already (a test compares).
MODULE_NAMES = frozenset(
    """
    T_destination add_module append apply bfloat16 buffers call_super_init children clear compile
    cpu cuda double dump_patches eval extend extra_repr float forward get_buffer get_extra_state
    get_parameter get_submodule half initialize insert ipu items keys load_state_dict modules mtia
    named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type update
    values xpu zero_grad
    """.split()
)


def is_plain(name: str) -> bool:
    """Whether `self.name` can hold a child of this name."""
    return name.isidentifier() and not keyword.iskeyword(name) and not is_taken(name)


def is_taken(name: str) -> bool:
    """Whether the name means something else on a module."""
    return name in MODULE_NAMES or name.startswith("_")


@dataclass(frozen=True, slots=True)
class Owner:
    """A module under construction: `self`, or a container of children without a forward."""

    path: str  # code: `self`, `self.features`
    container: bool = False

    def set(self, name: str, module: str) -> str:
        """The statement that registers a child.

        Raises:
            NotLowered: torch's modules have an attribute of this name that they set themselves.
        """
        _refuse(name)
        if is_taken(name):
            return f'{self.path}._modules["{name}"] = {module}'
        if self.container:
            return f'{self.path}["{name}"] = {module}'
        if is_plain(name):
            return f"{self.path}.{name} = {module}"
        return f'{self.path}.add_module("{name}", {module})'

    def entry(self, statement: str) -> str | None:
        """A container's statement from `set` as an entry of a dictionary."""
        found = re.fullmatch(rf'{re.escape(self.path)}\[("[^"]*")\] = (.*)', statement)
        return f"{found[1]}: {found[2]}" if found else None

    def get(self, name: str) -> str:
        """The expression that reads a child."""
        if is_taken(name):
            return f'{self.path}._modules["{name}"]'
        if self.container:
            return f'{self.path}["{name}"]'
        return f"{self.path}.{name}" if is_plain(name) else f'getattr({self.path}, "{name}")'

    def set_parameter(self, name: str, tensor: str) -> str:
        """The statement that registers a parameter.

        Raises:
            NotLowered: as for `set`.
        """
        _refuse(name)
        if is_taken(name):
            return f'{self.path}._parameters["{name}"] = {tensor}'
        if self.container or not is_plain(name):
            return f'{self.path}.register_parameter("{name}", {tensor})'
        return f"{self.path}.{name} = {tensor}"

    def get_parameter(self, name: str) -> str:
        if is_taken(name):
            return f'{self.path}._parameters["{name}"]'
        return f"{self.path}.{name}" if is_plain(name) else f'getattr({self.path}, "{name}")'


def _refuse(name: str) -> None:
    if name == "training":
        raise NotLowered("a child named training", "torch")


def child_names(routine: Routine) -> set[str]:
    """Names that children of a routine's class may have, which other attributes avoid."""
    return {
        name for item in all_items(routine.items) if isinstance(item, Step) for name in item.names
    }
