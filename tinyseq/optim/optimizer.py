"""Optimizer: groups of Parameters with options, and their state, to be saved and taken up again."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinyseq.backend import Array, backend_of
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Module, Parameter
from tinyseq.optim.flat import FlatParameters

Options = dict[str, Any]
Parameters = Module | Iterable[Parameter]


class Optimizer:
    """Changes Parameters against their gradients, in place; a subclass says how in `update`.

    parameters: a Module, Parameters, or dicts such as {"parameters": model.head, "lr": 1e-4} with options of
    their own. A Parameter without gradient is left as it is, and so is its state. `groups` holds the options
    in use and may be changed between steps.

    Raises ConfigError if there is no Parameter, one is in two groups, or an option makes no sense.
    """

    def __init__(self, parameters: Parameters | Iterable[Mapping[str, Any]], **options: Any) -> None:
        self.groups: list[Options] = []
        self._names: dict[Parameter, str] = {}
        given: Any = parameters if isinstance(parameters, Module) else list(parameters)
        if isinstance(given, list) and given and isinstance(given[0], Mapping):
            for i, group in enumerate(given):
                self._add_group(group, options, f"{i}.")
        else:
            self._add_group({"parameters": given}, options, "")
        if not self._names:
            raise ConfigError(
                f"{type(self).__name__} was given no Parameters: pass a Module, or its parameters()."
            )
        self._flat: list[tuple[Options, FlatParameters]] = []

    def initial_state(self, options: Options) -> dict[str, float]:
        """The names of the arrays that the rule keeps for every Parameter, with their initial values."""
        return {}

    def update(self, w: Array, g: Array, state: dict[str, Array], options: Options, step: int) -> None:
        """Change w and the arrays of `state` in place by gradient g; `step` counts the updates from 1.

        The arrays are parts of many Parameters in a row, so a rule works element by element.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update().")

    def check(self, options: Options) -> None:
        """Raise ConfigError for options that make no sense."""
        at_least_zero(type(self).__name__, options, "lr", "weight_decay")

    def __repr__(self) -> str:
        groups = [
            ", ".join(f"{name}={value!r}" for name, value in group.items() if name != "parameters")
            + f"  # {sum(parameter.size for parameter in group['parameters']):,} parameters"
            for group in self.groups
        ]
        name = type(self).__name__
        if len(groups) == 1:
            options, _, count = groups[0].rpartition("  # ")
            return f"{name}({options}; {count})"
        return "\n".join([f"{name}:", *(f"  group {i}: {group}" for i, group in enumerate(groups))])

    @property
    def lr(self) -> float:
        """The learning rate (of the first group); assigning sets that of every group."""
        return self.groups[0]["lr"]  # type: ignore[no-any-return]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.groups:
            group["lr"] = _as_python(value)

    def step(self) -> None:
        """Update every Parameter that has a gradient."""
        self._adopt()
        if not self._flat or not all(flat.is_intact() for _, flat in self._flat):
            self._arrange(self._states())
        for group, flat in self._flat:
            flat.ensure_state(self.initial_state(group))
            flat.update(lambda w, g, state, step: self.update(w, g, state, group, step))

    def add_group(self, group: Mapping[str, Any]) -> None:
        """Train more Parameters from now on, such as {"parameters": model.head, "lr": 1e-4}.

        What the others have learnt stays. Raises ConfigError as the constructor does.
        """
        self._adopt()
        states = self._states()
        defaults = {k: v for k, v in self.groups[0].items() if k != "parameters"}
        self._add_group(group, defaults, f"{len(self.groups)}.")
        self._arrange(states)

    def _adopt(self) -> None:
        """Take over Parameters that somebody has put into `groups`, and leave those that were taken out."""
        if sum(len(group["parameters"]) for group in self.groups) == len(self._names):
            return
        held = [parameter for group in self.groups for parameter in group["parameters"]]
        if len(set(held)) < len(held):
            raise ConfigError(f"A Parameter is twice in the groups of {type(self).__name__}: once is enough.")
        taken, states = set(self._names.values()), self._states()
        free = (name for n in itertools.count() if (name := f"added.{n}") not in taken)
        self._names = {parameter: self._names.get(parameter) or next(free) for parameter in held}
        self._arrange(states)

    def zero_grad(self) -> None:
        """Forget the gradients of all Parameters."""
        for group in self.groups:
            for parameter in group["parameters"]:
                if parameter.source is not None:
                    parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs: `groups.<i>.<option>`, `steps.<parameter>`, `<array>.<parameter>`.

        Arrays are copies in host memory; everything else is what JSON can hold.
        """
        self._adopt()
        state: dict[str, Any] = {}
        for i, group in enumerate(self.groups):
            for option, value in group.items():
                if option != "parameters":
                    state[f"groups.{i}.{option}"] = list(value) if isinstance(value, tuple) else value
        for parameter, (steps, arrays) in self._states().items():
            if steps:
                path = self._names[parameter]
                state[f"steps.{path}"] = steps
                state.update({f"{name}.{path}": array for name, array in arrays.items()})
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict()` of an equal optimiser gave, options included.

        Raises DataError that names every option, or if those fit every array, that is missing, unknown or
        wrong; then nothing is loaded.
        """
        left = dict(state)
        problems: list[str] = []
        groups = [self._loaded_options(i, group, left, problems) for i, group in enumerate(self.groups)]
        self._refuse(problems)  # the options decide which arrays there are
        states: dict[Parameter, tuple[int, dict[str, Any]]] = {}
        for options, group in zip(groups, self.groups, strict=True):
            for parameter in group["parameters"]:
                states[parameter] = self._loaded_state(options, parameter, left, problems)
        self._refuse([*problems, *(f"{key} is unknown" for key in left)])
        for group, options in zip(self.groups, groups, strict=True):
            group.update(options)
        self._arrange(states)

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            raise DataError(f"This state does not fit {type(self).__name__}: {'; '.join(problems)}.")

    def _loaded_options(self, i: int, group: Options, left: dict[str, Any], problems: list[str]) -> Options:
        options: Options = {}
        for option in [key for key in group if key != "parameters"]:
            if f"groups.{i}.{option}" not in left:
                problems.append(f"groups.{i}.{option} is missing")
            value = left.pop(f"groups.{i}.{option}", None)
            options[option] = tuple(value) if isinstance(value, list) else value
        if not problems:
            try:
                self.check(options)
            except (ConfigError, TypeError, ValueError) as error:
                problems.append(f"groups.{i}: {error}")
        return options

    def _loaded_state(
        self, options: Options, parameter: Parameter, left: dict[str, Any], problems: list[str]
    ) -> tuple[int, dict[str, Any]]:
        name = self._names[parameter]
        steps = left.pop(f"steps.{name}", 0)
        if not isinstance(steps, int) or steps < 0:
            problems.append(f"steps.{name} is {steps!r}, no count")
        arrays: dict[str, Any] = {}
        for array in self.initial_state(options) if steps else ():
            key = f"{array}.{name}"
            arrays[array] = np.asarray(left.pop(key, None))
            if arrays[array].dtype.kind != "f" or arrays[array].shape != parameter.shape:
                problems.append(f"{key} is missing or not of shape {parameter.shape}")
        return steps, arrays

    def _add_group(self, given: Mapping[str, Any], defaults: Options, prefix: str) -> None:
        if "parameters" not in given:
            raise ConfigError(f"a group of {type(self).__name__} needs 'parameters'; it has {sorted(given)}.")
        unknown = given.keys() - defaults.keys() - {"parameters"}
        if unknown:
            raise ConfigError(
                f"{type(self).__name__} has no option {sorted(unknown)}; its options are {sorted(defaults)}."
            )
        options = {key: _as_python(value) for key, value in {**defaults, **given}.items()}
        self.check(options)
        parameters = options["parameters"]
        named: Iterable[tuple[Any, Any]] = (
            parameters.named_parameters() if isinstance(parameters, Module) else enumerate(parameters)
        )
        mine: dict[Parameter, None] = {}
        for name, parameter in named:
            if not isinstance(parameter, Parameter):
                raise ConfigError(
                    f"{type(self).__name__} trains Parameters, not {type(parameter).__name__}: pass a "
                    "Module, or its parameters()."
                )
            if parameter in mine:  # tied
                continue
            if parameter in self._names:
                raise ConfigError(
                    f"the parameter {prefix}{name}, of shape {parameter.shape}, is in two groups of "
                    f"{type(self).__name__}."
                )
            mine[parameter] = None
            self._names[parameter] = f"{prefix}{name}"
        options["parameters"] = list(mine)
        self.groups.append(options)

    def _states(self) -> dict[Parameter, tuple[int, dict[str, Any]]]:
        """Each Parameter's number of updates and state arrays."""
        return {
            parameter: (flat.steps[i], flat.get_state(i))
            for _, flat in self._flat
            for i, parameter in enumerate(flat.parameters)
        }

    def _arrange(self, states: dict[Parameter, tuple[int, dict[str, Any]]]) -> None:
        """Lay the Parameters of each group side by side, apart by backend and dtype, with these states."""
        self._flat = []
        for group in self.groups:
            kinds: dict[Any, list[Parameter]] = {}
            for parameter in group["parameters"]:
                kinds.setdefault((backend_of(parameter.data).name, parameter.dtype), []).append(parameter)
            for parameters in kinds.values():
                flat = FlatParameters(parameters)
                flat.ensure_state(self.initial_state(group))
                for i, parameter in enumerate(parameters):
                    flat.set_state(i, *states.get(parameter, (0, {})))
                self._flat.append((group, flat))


def _as_python(value: Any) -> Any:
    """A number of NumPy's as Python's, which files can hold."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return tuple(map(_as_python, value)) if isinstance(value, tuple) else value


def at_least_zero(name: str, options: Options, *keys: str) -> None:
    for key in keys:
        if key in options and not options[key] >= 0:
            raise ConfigError(f"{name}({key}={options[key]!r}): it must be 0 or more.")


def below_one(name: str, options: Options, *keys: str) -> None:
    for key in keys:
        values = options[key] if isinstance(options[key], tuple) else (options[key],)
        if not all(0 <= value < 1 for value in values):
            raise ConfigError(f"{name}({key}={options[key]!r}): it must be within [0, 1).")
