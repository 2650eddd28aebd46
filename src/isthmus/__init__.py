"""Connect services, systems and external APIs under one programming model."""

__version__ = "0.1.0"
