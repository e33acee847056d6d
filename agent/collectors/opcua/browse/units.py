"""Units as servers name them, in UCUM. Pure.

EUInformation (OPC 10000-8, 5.6.3) names a unit by the code of UN/CEFACT Recommendation 20, its characters as the bytes
of a number: 4408652 is CEL, degree Celsius. What is not in the table is published as the server writes it: a unit that
is only likely would be a lie.
"""

from __future__ import annotations

CEFACT = "http://www.opcfoundation.org/UA/units/un/cefact"

#: Common code → UCUM.
_CODES = {
    "CEL": "Cel", "FAH": "[degF]", "KEL": "K",
    "BAR": "bar", "MBR": "mbar", "PAL": "Pa", "KPA": "kPa", "MPA": "MPa", "A97": "hPa", "74": "mPa", "B96": "uPa",
    "PS": "[psi]",
    "MTR": "m", "MMT": "mm", "CMT": "cm", "DMT": "dm", "KMT": "km", "4H": "um", "C45": "nm", "INH": "[in_i]",
    "FOT": "[ft_i]", "MTK": "m2", "MMK": "mm2", "CMK": "cm2",
    "MTQ": "m3", "DMQ": "dm3", "CMQ": "cm3", "MMQ": "mm3", "LTR": "L", "MLT": "mL", "HLT": "hL",
    "KGM": "kg", "GRM": "g", "MGM": "mg", "TNE": "t",
    "SEC": "s", "MIN": "min", "HUR": "h", "DAY": "d", "C26": "ms", "B98": "us", "C47": "ns",
    "HTZ": "Hz", "KHZ": "kHz", "MHZ": "MHz", "A86": "GHz", "RPM": "1/min", "RPS": "1/s",
    "AMP": "A", "4K": "mA", "B84": "uA", "B22": "kA", "VLT": "V", "2Z": "mV", "KVT": "kV", "D82": "uV",
    "WTT": "W", "KWT": "kW", "MAW": "MW", "C31": "mW", "D44": "var", "KVR": "kvar", "D46": "V.A", "KVA": "kV.A",
    "MVA": "MV.A", "WHR": "W.h", "KWH": "kW.h", "MWH": "MW.h", "K3": "kvar.h", "JOU": "J", "KJO": "kJ", "3B": "MJ",
    "OHM": "Ohm", "B49": "kOhm", "B75": "MOhm", "FAR": "F", "4O": "uF", "C41": "nF", "4T": "pF", "81": "H", "SIE": "S",
    "D10": "S/m", "H61": "mS/cm", "G42": "uS/cm", "D33": "T",
    "NEW": "N", "B47": "kN", "B73": "MN", "NU": "N.m",
    "MTS": "m/s", "KMH": "km/h", "2M": "cm/s", "C16": "mm/s", "2X": "m/min", "MSK": "m/s2",
    "MQH": "m3/h", "MQS": "m3/s", "L2": "L/min", "G51": "L/s", "E32": "L/h", "KGS": "kg/s", "F31": "kg/min",
    "E93": "kg/h", "KMQ": "kg/m3", "23": "g/cm3", "GL": "g/L", "M1": "mg/L", "GP": "mg/m3", "GQ": "ug/m3",
    "P1": "%", "59": "[ppm]", "C62": "1", "H87": "{piece}", "C34": "mol", "C18": "mmol", "Q30": "[pH]", "2N": "dB",
    "DD": "deg", "C81": "rad", "C25": "mrad", "2A": "rad/s", "E96": "deg/s", "CDL": "cd", "LUX": "lx", "LUM": "lm",
}  # fmt: skip
#: As people write it → UCUM, after superscripts and the micro sign were made plain.
_WRITTEN = {
    "°C": "Cel", "℃": "Cel", "degC": "Cel", "°F": "[degF]", "℉": "[degF]", "°": "deg",
    "rpm": "1/min", "RPM": "1/min", "U/min": "1/min", "min-1": "1/min", "r/min": "1/min",
    "l": "L", "ml": "mL", "l/min": "L/min", "l/h": "L/h", "l/s": "L/s",
    "Ω": "Ohm", "\u2126": "Ohm", "kΩ": "kOhm", "Nm": "N.m", "kNm": "kN.m", "Wh": "W.h", "kWh": "kW.h", "MWh": "MW.h",
    "VA": "V.A", "kVA": "kV.A", "psi": "[psi]", "ppm": "[ppm]",
}  # fmt: skip
_PLAIN = str.maketrans({"²": "2", "³": "3", "\u00b5": "u", "\u03bc": "u", "⁻": "-", "¹": "1"})
_LONGEST = 32  #: characters of a unit


def ucum(unit_id: int, namespace: str, written: str) -> str | None:
    """The unit; None where the server names none."""
    if namespace == CEFACT and 0 < unit_id < 1 << 24:
        code = unit_id.to_bytes(3, "big").lstrip(b"\0").decode("latin-1")
        if code in _CODES:
            return _CODES[code]
    plain = written.translate(_PLAIN)
    return _WRITTEN.get(plain, plain)[:_LONGEST] or None
