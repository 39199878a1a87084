"""Trainings and what they leave behind."""
