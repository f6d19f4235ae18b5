"""Facts and prices of the demo's two practices."""

from billing.entry.people import PostalAddress
from billing.entry.practices import PracticeDetails
from demo.office import Service

HARBOR_LANE = PracticeDetails(
    name="Harbor Lane Therapy",
    time_zone="America/New_York",
    currency="USD",
    locale="en-US",
    phone="+1 207 555 0142",
    email="billing@harborlane.example.com",
    portal_url="https://portal.harborlane.example.com",
    stripe_account="acct_sandbox",
    clients_remove_cards=True,
    address=PostalAddress("17 Harbor Lane", "Portland", "04101", "US", "Suite 3", "ME"),
)
KISO_STREET = PracticeDetails(
    name="Kiso Street Counselling",
    time_zone="Asia/Tokyo",
    currency="JPY",
    locale="en-JP",
    phone="+81 3 0000 0142",
    email="hello@kisostreet.example.com",
    portal_url="https://portal.kisostreet.example.com",
    address=PostalAddress("2-14-6 Kami", "Meguro-ku", "153-0061", "JP", region="Tokyo"),
)

DOLLARS = {
    "90791": Service("90791", "Intake evaluation", 60, 22500),
    "90834": Service("90834", "Psychotherapy, 45 minutes", 45, 14000),
    "90837": Service("90837", "Psychotherapy, 60 minutes", 60, 17500),
    "90847": Service("90847", "Couples therapy, 50 minutes", 50, 19500),
}
YEN = {
    "90791": Service("90791", "First consultation", 60, 18000),
    "90834": Service("90834", "Counselling, 45 minutes", 45, 12000),
    "90837": Service("90837", "Counselling, 60 minutes", 60, 15000),
    "90847": Service("90847", "Couples counselling, 50 minutes", 50, 20000),
}
