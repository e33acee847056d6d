"""Units in UCUM notation (The Unified Code for Units of Measure, 2.1): is this one, and what was meant? Pure.

Covers what plants measure; a unit that is right but not known here is at worst warned about.
"""

from __future__ import annotations

import re

_METRIC_ATOMS = (
    "m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv kat l L ar t bar u eV pc cal cal_IT B"
    " B[V] B[mV] B[W] B[kW] B[SPL] bit By Bd dyn erg P St G Mx Oe sb Lmb ph Ci R RAD REM gf eq osm g% mho U [iU] [IU]"
    " m[H2O] m[Hg] Np var"  # var: reactive power, IEC 80000-6; UCUM has none, and everybody writes it
)
_OTHER_ATOMS = (
    "% [ppth] [ppm] [ppb] [pptr] [pi] deg ' '' gon min h d wk mo a mo_j a_j [in_i] [ft_i] [yd_i] [mi_i] [nmi_i] [sin_i]"
    " [sft_i] [cin_i] [cft_i] [kn_i] [lb_av] [oz_av] [ston_av] [lton_av] [lbf_av] [psi] [degF] [degR] [gal_us] [qt_us]"
    " [pt_us] [foz_us] [bbl_us] [gal_br] [HP] [Btu] [Btu_IT] [Btu_th] [pH] [in_i'H2O] [in_i'Hg] atm att [g] [c] circ"
    " 10* 10^ %[slope] [NTU] [FNU] [CFU] [drp] [gr] [ft_us] [in_us] [acr_us]"
)
_PREFIXES = "Y Z E P T G M k h da d c m u n p f a Ki Mi Gi"

_METRIC = frozenset(_METRIC_ATOMS.split())
_ATOMS = _METRIC.union(_OTHER_ATOMS.split())
_COMPONENT = re.compile(r"(?P<atom>(?:\[[^\]\s]*\]|[A-Za-z_%']|10[*^])+)(?P<power>[+-]?\d+)?")

#: What people write → UCUM. Looked up as written, then in lower case.
_MEANT = {
    "°c": "Cel", "º c": "Cel", "ºc": "Cel", "℃": "Cel", "degc": "Cel", "deg c": "Cel", "celsius": "Cel",
    "°f": "[degF]", "ºf": "[degF]", "℉": "[degF]", "degf": "[degF]", "°": "deg", "kelvin": "K",
    "°k": "K", "grad": "deg",
    "wh": "W.h", "kwh": "kW.h", "mwh": "MW.h", "gwh": "GW.h", "ah": "A.h", "va": "V.A", "kva": "kV.A", "mva": "MV.A",
    "vah": "V.A.h", "kvah": "kV.A.h", "kvar": "kvar", "varh": "var.h", "kvarh": "kvar.h",
    "rpm": "1/min", "r/min": "1/min", "u/min": "1/min",
    "upm": "1/min", "min-1": "1/min", "min^-1": "1/min", "bars": "bar", "bar": "bar", "kpa": "kPa",
    "mpa": "MPa", "psi": "[psi]", "ppm": "[ppm]", "ppb": "[ppb]",
    "ph": "[pH]", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "hr": "h", "hrs": "h", "hour": "h",
    "hours": "h", "mins": "min", "minute": "min", "minutes": "min", "day": "d", "days": "d", "nm": "N.m", "knm": "kN.m",
    "pcs": "{piece}", "pc": "{piece}", "piece": "{piece}", "pieces": "{piece}", "stk": "{piece}", "stück": "{piece}",
    "件": "{piece}", "个": "{piece}", "count": "{count}", "counts": "{count}", "mmhg": "mm[Hg]", "mmh2o": "mm[H2O]",
    "inh2o": "[in_i'H2O]", "inch": "[in_i]", "in": "[in_i]", "ft": "[ft_i]", "feet": "[ft_i]", "lb": "[lb_av]",
    "lbs": "[lb_av]", "gal": "[gal_us]", "gpm": "[gal_us]/min", "cfm": "[cft_i]/min", "hp": "[HP]", "%rh": "%{RH}",
    "percent": "%", "volt": "V", "volts": "V", "ampere": "A", "amps": "A", "amp": "A", "watt": "W", "watts": "W",
    "ohms": "Ohm", "liter": "l", "litre": "l", "liters": "l", "kgs": "kg", "tonne": "t", "tons": "t", "byte": "By",
    "bytes": "By", "nm³": "m3{normal}", "nm3": "m3{normal}", "nm³/h": "m3{normal}/h", "nm3/h": "m3{normal}/h",
    "l/s": "l/s", "mps": "m/s", "kph": "km/h", "kmh": "km/h", "hz": "Hz", "cosphi": "1", "cos phi": "1", "none": "1",
}  # fmt: skip
_SIGNS = str.maketrans({
    "\u00b2": "2", "\u00b3": "3", "\u00b5": "u", "\u03bc": "u", "\u03a9": "Ohm", "\u2126": "Ohm",
    "\u00b7": ".", "\u00d7": ".", "\u22c5": ".",
})  # fmt: skip


def is_ucum(unit: str) -> bool:
    """Whether this is a unit in UCUM notation."""
    bare = re.sub(r"\{[\x21-\x7e]*?\}", "", unit)
    if unit and not bare.strip("./"):
        return True  # nothing but annotations: {piece}
    components = re.split(r"[./]", bare.replace("(", "").replace(")", ""))
    if bare.startswith("/"):
        components = components[1:]
    return bool(components) and all(_known(one) for one in components)


def _known(component: str) -> bool:
    if component in ("", "1") or component.isdigit():
        return component != ""
    match = _COMPONENT.fullmatch(component)
    return match is not None and _is_atom(match["atom"])


def _is_atom(atom: str) -> bool:
    return atom in _ATOMS or any(atom.startswith(one) and atom[len(one) :] in _METRIC for one in _PREFIXES.split())


def ucum(unit: str) -> str | None:
    """The UCUM notation of what people write, None where it is not known."""
    text = unit.strip()
    found = _MEANT.get(text.lower())
    if found is not None:
        return found
    plain = text.translate(_SIGNS).replace("°C", "Cel").replace("℃", "Cel").replace("°F", "[degF]").replace("*", ".")
    return plain if plain != unit and is_ucum(plain) else None
