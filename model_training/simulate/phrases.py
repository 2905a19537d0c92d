"""How a finding is put into words, in English and German. A phrase says what the tracing shows, never who is ill."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Language(StrEnum):
    ENGLISH = "en"
    GERMAN = "de"


@dataclass(frozen=True, slots=True)
class Wording:
    """Synonyms of one finding by language, and the SCP-ECG statements that stand for it."""

    codes: tuple[str, ...]
    english: tuple[str, ...]
    german: tuple[str, ...]
    rhythm: bool = False

    def phrases(self, language: Language) -> tuple[str, ...]:
        return self.english if language is Language.ENGLISH else self.german


WORDINGS: Final = MappingProxyType(
    {
        "sinus": Wording(("SR",), ("sinus rhythm", "normal sinus rhythm"), ("Sinusrhythmus",), True),
        "bradycardia": Wording(
            ("SBRAD",),
            ("sinus bradycardia", "slow sinus rhythm"),
            ("Sinusbradykardie", "bradykarder Sinusrhythmus"),
            True,
        ),
        "tachycardia": Wording(
            ("STACH",), ("sinus tachycardia",), ("Sinustachykardie", "tachykarder Sinusrhythmus"), True
        ),
        "af": Wording(
            ("AFIB",),
            ("atrial fibrillation", "irregular rhythm without P waves, atrial fibrillation"),
            ("Vorhofflimmern", "absolute Arrhythmie bei Vorhofflimmern"),
            True,
        ),
        "flutter": Wording(("AFLT",), ("atrial flutter", "flutter waves"), ("Vorhofflattern", "Flatterwellen"), True),
        "paced": Wording(
            ("PACE",), ("ventricular paced rhythm", "electronic pacemaker"), ("Schrittmacherrhythmus",), True
        ),
        "pvc": Wording(
            ("PVC",),
            ("ventricular premature complexes", "ventricular ectopic beats", "PVCs"),
            ("ventrikuläre Extrasystolen", "VES"),
        ),
        "pac": Wording(
            ("PAC",),
            ("atrial premature complexes", "supraventricular ectopic beats"),
            ("supraventrikuläre Extrasystolen", "SVES"),
        ),
        "long_pr": Wording(
            ("1AVB",), ("first degree AV block", "prolonged PR interval"), ("AV-Block I. Grades", "PQ verlängert")
        ),
        "mobitz": Wording(("2AVB",), ("second degree AV block",), ("AV-Block II. Grades",)),
        "complete": Wording(
            ("3AVB",), ("complete AV block", "AV dissociation, third degree block"), ("AV-Block III. Grades",)
        ),
        "pre_excitation": Wording(
            ("WPW",), ("ventricular pre-excitation", "delta wave, short PR"), ("Präexzitation", "Delta-Welle")
        ),
        "lbbb": Wording(
            ("CLBBB",), ("left bundle branch block", "complete LBBB"), ("Linksschenkelblock", "kompletter LSB")
        ),
        "rbbb": Wording(
            ("CRBBB",), ("right bundle branch block", "complete RBBB"), ("Rechtsschenkelblock", "kompletter RSB")
        ),
        "lafb": Wording(
            ("LAFB",),
            ("left anterior fascicular block", "left anterior hemiblock"),
            ("linksanteriorer Hemiblock", "LAH"),
        ),
        "lpfb": Wording(("LPFB",), ("left posterior fascicular block",), ("linksposteriorer Hemiblock",)),
        "wide_qrs": Wording(
            ("IVCD",), ("intraventricular conduction delay", "QRS mildly widened"), ("QRS verbreitert",)
        ),
        "left_axis": Wording((), ("left axis deviation", "leftward axis"), ("Linkstyp", "überdrehter Linkstyp")),
        "right_axis": Wording((), ("right axis deviation",), ("Rechtstyp", "Steil- bis Rechtstyp")),
        "lvh": Wording(
            ("LVH",),
            ("left ventricular hypertrophy", "voltage criteria for LVH", "high left ventricular voltage"),
            ("Linkshypertrophie", "Linkshypertrophiezeichen", "hohe Voltage, am ehesten Linksherzhypertrophie"),
        ),
        "low_voltage": Wording(("LVOLT",), ("low QRS voltage",), ("Niedervoltage",)),
        "left_atrium": Wording(
            ("LAO/LAE",),
            ("left atrial abnormality", "deep terminal P in V1"),
            ("P sinistroatriale", "Vorhofbelastung links"),
        ),
        "old_inferior_mi": Wording(
            ("IMI", "QWAVE"),
            ("inferior infarct, age undetermined", "inferior Q waves, old inferior infarction"),
            ("alter inferiorer Infarkt", "Q in II, III, aVF"),
        ),
        "old_anterior_mi": Wording(
            ("ASMI", "QWAVE"),
            ("anteroseptal infarct, age undetermined", "poor R wave progression, old anterior infarction"),
            ("alter Vorderwandinfarkt", "R-Verlust über der Vorderwand"),
        ),
        "acute_inferior_mi": Wording(
            ("IMI", "INJIL"), ("acute inferior infarction", "inferior ST elevation"), ("akuter Hinterwandinfarkt",)
        ),
        "acute_anterior_mi": Wording(
            ("AMI", "INJAS"), ("acute anterior infarction", "anterior ST elevation"), ("akuter Vorderwandinfarkt",)
        ),
        "pericarditis": Wording(
            ("STE_",), ("diffuse ST elevation, consider pericarditis",), ("diffuse ST-Hebung, Perikarditis möglich",)
        ),
        "hyperkalaemia": Wording(
            ("EL", "TAB_"), ("tall narrow T waves, consider hyperkalaemia",), ("hohe spitze T-Wellen",)
        ),
        "st_depression": Wording(
            ("STD_",), ("ST depression in lateral leads", "lateral ST segment depression"), ("ST-Senkung in V5-V6",)
        ),
        "t_inversion": Wording(
            ("INVT",), ("T wave inversion in V5-V6", "lateral T wave inversion"), ("T-Negativierung links präkordial",)
        ),
        "flat_t": Wording(
            ("NDT",),
            ("nonspecific T wave flattening", "low T waves"),
            ("T-Abflachung", "unspezifische T-Veränderungen"),
        ),
        "long_qt": Wording(("LNGQT",), ("prolonged QT interval", "long QTc"), ("QT-Verlängerung", "QTc verlängert")),
        "normal": Wording(("NORM",), ("normal ECG", "within normal limits"), ("unauffälliges EKG", "Normalbefund")),
    }
)

HEDGES: Final = MappingProxyType(
    {
        Language.ENGLISH: ("possible", "probable", "cannot rule out", "borderline"),
        Language.GERMAN: ("fraglich", "möglich:", "V.a.", "grenzwertig"),
    }
)
NEGATIONS: Final = MappingProxyType(
    {
        Language.ENGLISH: {
            "st_depression": "no significant ST depression",
            "lbbb": "no left bundle branch block",
            "long_qt": "QT interval normal",
            "af": "no atrial fibrillation",
        },
        Language.GERMAN: {
            "st_depression": "keine signifikante ST-Senkung",
            "lbbb": "kein Linksschenkelblock",
            "long_qt": "QT normal",
            "af": "kein Vorhofflimmern",
        },
    }
)
LABELS: Final = MappingProxyType(
    {
        Language.ENGLISH: ("rate {} bpm", "PR {} ms", "QRS {} ms"),
        Language.GERMAN: ("Frequenz {}/min", "PQ {} ms", "QRS {} ms"),
    }
)
