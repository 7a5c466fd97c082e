"""What a line of the lists says about one subscriber. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from workflows.subscriber_export.queries import SUBSCRIPTION, WEEKDAYS

HOME_DELIVERY_HEADER: Final = (
    "Customer Reference", "Contract ID", "Customer Full Name", "Customer Job Title", "Customer Company",
    "Customer Department", "Customer Address Line 1", "Customer Address Line 2", "Customer Address Line 3",
    "Customer Town", "Customer PostCode", "Delivery Quantity", "Customer Telephone", "Property type",
    "Front Door Access", "Door Colour", "House Details", "Where to Leave", "Landmarks",
    "Additional Information", "Letterbox", "Source campaign", "Sent Date", "Delivery Date",
    "Returned Date", "Delivery problem", "Delivery problem notes", "Charge day",
)  # fmt: skip
WEEKLY_HEADER: Final = (
    "Subscriber ID", "Name", "Company name", "Address 1", "Address 2", "Address  3", "Country", "Post code",
    "Copies",
)  # fmt: skip
EU_HEADER: Final = (*WEEKLY_HEADER, "Unit price", "Currency")

MISSING_STREET: Final = "MissingStreetAddress"
MISSING_POSTCODE: Final = "MissingPostcode"
MISSING_NAME: Final = "MissingName"
VALIDATIONS: Final = (MISSING_STREET, MISSING_POSTCODE, MISSING_NAME)
"""What may be missing of a subscriber. These names are counted and told, and no others are."""

_DAY: Final = "%d/%m/%Y"


def faults_of(row: Mapping[str, str]) -> list[str]:
    """Which of VALIDATIONS a subscriber fails. Such a row is delivered all the same, and counted."""
    faults = []
    if not _contact(row, "Address1") and not _contact(row, "Address2"):
        faults.append(MISSING_STREET)
    if not _contact(row, "PostalCode"):
        faults.append(MISSING_POSTCODE)
    if not _name(row, "FirstName", "LastName"):
        faults.append(MISSING_NAME)
    return faults


def home_delivery_row(row: Mapping[str, str], *, delivery: date, today: date) -> dict[str, str]:
    """One line of the home delivery list; columns without a source stay empty."""
    return dict.fromkeys(HOME_DELIVERY_HEADER, "") | {
        "Customer Reference": row[SUBSCRIPTION],
        "Customer Full Name": _name(row, "FirstName", "LastName"),
        "Customer Company": _contact(row, "Company_Name__c"),
        "Customer Address Line 1": _contact(row, "Address1"),
        "Customer Address Line 2": _contact(row, "Address2"),
        "Customer Town": _contact(row, "City"),
        "Customer PostCode": uk_postcode(_contact(row, "PostalCode")),
        "Delivery Quantity": row["RatePlanCharge.Quantity"],
        "Additional Information": _contact(row, "SpecialDeliveryInstructions__c").replace('"', "'"),
        "Sent Date": today.strftime(_DAY),
        "Delivery Date": delivery.strftime(_DAY),
        "Charge day": WEEKDAYS[delivery.weekday()].capitalize(),
    }


def uk_postcode(text: str) -> str:
    """Upper case with one space before the last three characters; nothing stays nothing."""
    packed = "".join(text.split()).upper()
    return f"{packed[:-3]} {packed[-3:]}" if len(packed) > 3 else packed


def weekly_row(row: Mapping[str, str], region: str) -> dict[str, str]:
    """One line of a region's list of the weekly."""
    line = {
        "Subscriber ID": row[SUBSCRIPTION],
        "Name": _name(row, "Title__c", "FirstName", "LastName"),
        "Company name": _contact(row, "Company_Name__c"),
        "Address 1": ", ".join(filter(None, (_contact(row, "Address1"), _contact(row, "Address2")))),
        "Address 2": _contact(row, "City"),
        "Address  3": _state(row, region),
        "Country": _contact(row, "Country"),
        "Post code": _contact(row, "PostalCode"),
        "Copies": "1.0",
    }
    if region == "AU":
        return {name: value.upper() for name, value in line.items()}
    return line | ({"Unit price": "4.72", "Currency": "EUR"} if region == "EU" else {})


REGIONS: Final = ("UK", "CA", "CA_HAND", "US", "AU", "NZ", "VU", "EU", "ROW")
_BY_COUNTRY: Final = {
    "United Kingdom": "UK", "United States": "US", "New Zealand": "NZ", "Vanuatu": "VU",
    **dict.fromkeys(("Australia", "Japan", "Singapore", "Thailand"), "AU"),
    **dict.fromkeys(
        ("Austria", "Belgium", "Bulgaria", "Croatia", "Cyprus", "Czechia", "Czech Republic", "Denmark",
         "Estonia", "Finland", "France", "Germany", "Greece", "Hungary", "Ireland", "Italy", "Latvia",
         "Lithuania", "Luxembourg", "Malta", "Netherlands", "Poland", "Portugal", "Romania", "Slovakia",
         "Slovenia", "Spain", "Sweden"), "EU"),
}  # fmt: skip


def region_of(row: Mapping[str, str]) -> str:
    """The list that a subscriber of the weekly belongs to."""
    country = _contact(row, "Country")
    if country == "Canada":
        return "CA_HAND" if row["Subscription.CanadaHandDelivery__c"].strip().upper() == "YES" else "CA"
    return _BY_COUNTRY.get(country, "ROW")


def weekly_header(region: str) -> tuple[str, ...]:
    """The columns of a region's list."""
    return EU_HEADER if region == "EU" else WEEKLY_HEADER


_US_STATES: Final[Mapping[str, Any]] = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA", "Colorado": "CO",
    "Connecticut": "CT", "Delaware": "DE", "District of Columbia": "DC", "Florida": "FL", "Georgia": "GA",
    "Hawaii": "HI", "Idaho": "ID", "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS",
    "Kentucky": "KY", "Louisiana": "LA", "Maine": "ME", "Maryland": "MD", "Massachusetts": "MA",
    "Michigan": "MI", "Minnesota": "MN", "Mississippi": "MS", "Missouri": "MO", "Montana": "MT",
    "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH", "New Jersey": "NJ", "New Mexico": "NM",
    "New York": "NY", "North Carolina": "NC", "North Dakota": "ND", "Ohio": "OH", "Oklahoma": "OK",
    "Oregon": "OR", "Pennsylvania": "PA", "Rhode Island": "RI", "South Carolina": "SC", "South Dakota": "SD",
    "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT", "Virginia": "VA", "Washington": "WA",
    "West Virginia": "WV", "Wisconsin": "WI", "Wyoming": "WY",
}  # fmt: skip


def _state(row: Mapping[str, str], region: str) -> str:
    state = _contact(row, "State")
    return str(_US_STATES.get(state, state)) if region == "US" else state


def _contact(row: Mapping[str, str], field: str) -> str:
    return row[f"SoldToContact.{field}"].strip()


def _name(row: Mapping[str, str], *fields: str) -> str:
    """The parts of a name that are there; a first name of "." stands for none."""
    parts = [_contact(row, field) for field in fields]
    return " ".join(part for part in parts if part not in {"", "."})
