"""Checks: records in, a result out."""
