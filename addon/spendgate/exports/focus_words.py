"""The words that FOCUS 1.4 allows, by column, as its specification lists them (`datasets/cost_and_usage/columns`)."""

from __future__ import annotations

from typing import Final


def _of(category: str, *names: str) -> frozenset[str]:
    return frozenset((*names, f"Other ({category})"))


SERVICES: Final = {
    "AI and Machine Learning": _of(
        "AI and Machine Learning", "AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing"
    ),
    "Analytics": _of(
        "Analytics", "Analytics Platforms", "Business Intelligence", "Data Processing", "Search", "Streaming Analytics"
    ),
    "Business Applications": _of("Business Applications", "Productivity and Collaboration"),
    "Compute": _of(
        "Compute", "Containers", "End User Computing", "Quantum Compute", "Serverless Compute", "Virtual Machines"
    ),
    "Databases": _of(
        "Databases", "Caching", "Data Warehouses", "Ledger Databases", "NoSQL Databases", "Relational Databases",
        "Time Series Databases",
    ),
    "Developer Tools": _of(
        "Developer Tools", "Developer Platforms", "Continuous Integration and Deployment", "Development Environments",
        "Source Code Management", "Quality Assurance",
    ),
    "Multicloud": _of("Multicloud", "Multicloud Integration"),
    "Identity": _of("Identity", "Identity and Access Management"),
    "Integration": _of("Integration", "API Management", "Messaging", "Workflow Orchestration"),
    "Internet of Things": _of("Internet of Things", "IoT Analytics", "IoT Platforms"),
    "Management and Governance": _of(
        "Management and Governance", "Architecture", "Compliance", "Cost Management", "Data Governance", "Disaster Recovery",
        "Endpoint Management", "Observability", "Support",
    ),
    "Media": _of("Media", "Content Creation", "Gaming", "Media Streaming", "Mixed Reality"),
    "Migration": _of("Migration", "Data Migration", "Resource Migration"),
    "Mobile": _of("Mobile"),
    "Networking": _of(
        "Networking", "Application Networking", "Content Delivery", "Network Connectivity", "Network Infrastructure",
        "Network Routing", "Network Security",
    ),
    "Security": _of("Security", "Secret Management", "Security Posture Management", "Threat Detection and Response"),
    "Storage": _of("Storage", "Backup Storage", "Block Storage", "File Storage", "Object Storage", "Storage Platforms"),
    "Web": _of("Web", "Application Platforms"),
    "Other": _of("Other"),
}  # fmt: skip
"""By category its subcategories: each has one parent."""

WORDS: Final = {
    "ChargeCategory": frozenset(("Usage", "Purchase", "Tax", "Credit", "Adjustment")),
    "ChargeClass": frozenset(("Correction",)),
    "ChargeFrequency": frozenset(("One-Time", "Recurring", "Usage-Based")),
    "PricingCategory": frozenset(("Standard", "Dynamic", "Committed", "Other")),
    "CommitmentDiscountCategory": frozenset(("Spend", "Usage")),
    "CommitmentDiscountStatus": frozenset(("Used", "Unused")),
    "CapacityReservationStatus": frozenset(("Used", "Unused")),
    "ServiceCategory": frozenset(SERVICES),
    "ServiceSubcategory": frozenset().union(*SERVICES.values()),
}
"""By column. An empty cell is no word; whether it may be empty is told elsewhere."""
