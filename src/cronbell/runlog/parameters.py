"""What a person chose for a run: judged by what its job declares."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext as _

from cronbell.domain import LONGEST_PARAMETER, JobSpec, Parameter
from cronbell.errors import CronbellError


class ParameterError(CronbellError):
    """A run was asked for with a parameter that its job does not take, or without one it needs.

    Attributes:
        parameter: its name, so that a form can say what is wrong where it was typed.
    """

    code = "parameter"

    def __init__(self, message: str, *, parameter: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.parameter = parameter


def checked(spec: JobSpec, given: Mapping[str, str]) -> dict[str, str]:
    """Return what is sent of what was given: blank values are not.

    Args:
        spec: the job.
        given: values by name.

    Raises:
        ParameterError: a name is not declared, a value is not among the choices or cannot be sent,
            or one is missing.
    """
    declared = {parameter.name: parameter for parameter in spec.parameters}
    for name in given:
        if name not in declared:
            raise ParameterError(
                _("the job %(job)r has no parameter %(name)r") % {"job": spec.name, "name": name},
                parameter=name,
                hint=_hint_of_names(declared),
            )
    chosen: dict[str, str] = {}
    for parameter in spec.parameters:
        value = given.get(parameter.name, "").strip()
        if value:
            _check(parameter, value)
            chosen[parameter.name] = value
        elif parameter.required:
            raise ParameterError(
                _("the parameter %(name)r is missing") % {"name": parameter.name},
                parameter=parameter.name,
                hint=_hint_of_values(parameter),
            )
    return chosen


def _check(parameter: Parameter, value: str) -> None:
    if parameter.choices and value not in parameter.choices:
        raise ParameterError(
            _("the parameter %(name)r cannot be %(value)r")
            % {"name": parameter.name, "value": value[:LONGEST_PARAMETER]},
            parameter=parameter.name,
            hint=_hint_of_values(parameter),
        )
    if len(value) > LONGEST_PARAMETER or not value.isprintable():
        raise ParameterError(
            _("the value of the parameter %(name)r cannot be sent") % {"name": parameter.name},
            parameter=parameter.name,
            hint=_("write one line of at most %(most)s characters, all of which can be seen")
            % {"most": LONGEST_PARAMETER},
        )


def _hint_of_names(declared: Mapping[str, Parameter]) -> str:
    if not declared:
        return _("parameters are declared in cronbell.toml: [[jobs.NAME.parameters]]")
    return _("it has %(names)s") % {"names": ", ".join(declared)}


def _hint_of_values(parameter: Parameter) -> str:
    if parameter.choices:
        return _("choose from %(choices)s") % {"choices": ", ".join(parameter.choices)}
    return _("give it a value")
