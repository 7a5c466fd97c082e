"""What is asked of Zuora, as ZOQL. Pure.

Each query begins with the delivery date in a condition; dates stand as YYYY-MM-DD.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

HOME_DELIVERY: Final = "homedelivery"
WEEKLY: Final = "weekly"
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

SUBSCRIPTION: Final = "Subscription.Name"
_CONTACT: Final = (
    "SoldToContact.Title__c", "SoldToContact.FirstName", "SoldToContact.LastName",
    "SoldToContact.Company_Name__c", "SoldToContact.Address1", "SoldToContact.Address2", "SoldToContact.City",
    "SoldToContact.State", "SoldToContact.PostalCode", "SoldToContact.Country",
)  # fmt: skip
HOME_DELIVERY_COLUMNS: Final = (
    SUBSCRIPTION, "RatePlanCharge.Quantity", *_CONTACT, "SoldToContact.SpecialDeliveryInstructions__c",
)  # fmt: skip
WEEKLY_COLUMNS: Final = (SUBSCRIPTION, *_CONTACT, "Subscription.CanadaHandDelivery__c")

_ISSUE_PLANS: Final = (
    "Guardian Weekly 6 Issues", "Guardian Weekly 12 Issues", "Guardian Weekly Zone 6 Issues",
    "Guardian Weekly Zone 12 Issues",
)  # fmt: skip
_CUTOFF: Final = timedelta(days=6)


def queries_for(kind: str, delivery: date, today: date) -> Mapping[str, str]:
    """The queries of an export by their names."""
    return home_delivery(delivery, today) if kind == HOME_DELIVERY else weekly(delivery, today)


def home_delivery(delivery: date, today: date) -> Mapping[str, str]:
    """Who gets a paper on a day, and who has suspended that day."""
    day = WEEKDAYS[delivery.weekday()].capitalize()
    subscriptions = f"""
        EffectiveStartDate <= '{delivery}'
        AND (EffectiveEndDate > '{delivery}'
             OR (EffectiveEndDate >= '{today}' AND Subscription.Status = 'Active'
                 AND Subscription.AutoRenew = true AND {_amended_not_by("RemoveProduct", "UpdateProduct")}))
        AND (Subscription.Status = 'Active' OR Subscription.Status = 'Cancelled')
        AND ProductRatePlanCharge.ProductType__c = 'Print {day}'
        AND Product.Name = 'Newspaper Delivery'
        AND (MRR != 0 OR ProductRatePlan.FrontendId__c != 'EchoLegacy')"""
    return {
        "Subscriptions": _select(HOME_DELIVERY_COLUMNS, subscriptions),
        "HolidaySuspensions": _suspensions(delivery),
    }


def weekly(delivery: date, today: date) -> Mapping[str, str]:
    """Who gets the weekly of a day, by a regular plan or an introductory one, and who has suspended it."""
    cutoff = delivery if delivery <= today else delivery - _CUTOFF
    plans = " OR ".join(f"ProductRatePlan.Name = '{name}'" for name in _ISSUE_PLANS)
    regular = " AND ".join(f"ProductRatePlan.Name != '{name}'" for name in _ISSUE_PLANS)
    term = f"""
        (Subscription.AutoRenew = true AND Subscription.Status = 'Active')
        OR (Subscription.Status = 'Cancelled' AND Subscription.IsGift__c != 'Yes'
            AND Subscription.TermEndDate >= '{cutoff}')
        OR (Subscription.Status = 'Cancelled' AND Subscription.IsGift__c = 'Yes'
            AND Subscription.TermEndDate >= '{delivery}')
        OR (Subscription.Status = 'Active' AND Subscription.AutoRenew = false
            AND Subscription.TermEndDate >= '{cutoff}')"""
    subscriptions = f"""
        Subscription.ContractAcceptanceDate <= '{delivery}'
        AND ProductRatePlanCharge.ProductType__c = 'Guardian Weekly' AND IsLastSegment = true AND {regular}
        AND ({_amended_not_by("RemoveProduct")} OR EffectiveEndDate > '{delivery}')
        AND ({term})"""
    introductory = f"EffectiveStartDate <= '{delivery}' AND EffectiveEndDate > '{delivery}' AND ({plans})"
    return {
        "WeeklySubscriptions": _select(WEEKLY_COLUMNS, subscriptions),
        "WeeklyIntroductoryPeriods": _select(WEEKLY_COLUMNS, introductory),
        "WeeklyHolidaySuspensions": _suspensions(delivery),
    }


def _select(columns: tuple[str, ...], condition: str) -> str:
    query = f"SELECT {', '.join(columns)} FROM RatePlanCharge WHERE {condition}"  # noqa: S608 -- dates only
    return " ".join(query.split())


def _amended_not_by(*kinds: str) -> str:
    conditions = " AND ".join(f"Amendment.Type != '{kind}'" for kind in kinds)
    return f"(Amendment.Type IS NULL OR ({conditions}))"


def _suspensions(delivery: date) -> str:
    condition = f"""
        HolidayStart__c <= '{delivery}' AND HolidayEnd__c >= '{delivery}'
        AND ProductRatePlanCharge.ProductType__c = 'Adjustment'
        AND ProductRatePlanCharge.Name = 'Holiday Credit' AND {_amended_not_by("RemoveProduct")}"""
    return _select((SUBSCRIPTION,), condition)
