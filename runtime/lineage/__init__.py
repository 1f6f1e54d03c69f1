"""Lineage: why a slot shows what it shows, down to seeds, people and decisions, and why nothing else; and why a tier is
not reached. Read from the journal alone."""

from runtime.lineage.explain import DEEPEST, DEPTH, explain_slot
from runtime.lineage.text import Line, lines_of, say_why_not, text_of, text_of_tier
from runtime.lineage.tiers import Missing, Proof, TierStory, TierWhy, explain_tier
from runtime.lineage.told import Lineage, Link, Node, Reason, Rest, Speaker, WhyNot
from runtime.lineage.words import (
    say_mark,
    say_node,
    say_place_of,
    say_rest,
    say_slot,
    say_speaker,
    say_step,
    say_value,
)

__all__ = [
    "DEEPEST",
    "DEPTH",
    "Line",
    "Lineage",
    "Link",
    "Missing",
    "Node",
    "Proof",
    "Reason",
    "Rest",
    "Speaker",
    "TierStory",
    "TierWhy",
    "WhyNot",
    "explain_slot",
    "explain_tier",
    "lines_of",
    "say_mark",
    "say_node",
    "say_place_of",
    "say_rest",
    "say_slot",
    "say_speaker",
    "say_step",
    "say_value",
    "say_why_not",
    "text_of",
    "text_of_tier",
]
