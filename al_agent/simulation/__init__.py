"""Rounds on data whose labels are known but hidden: does active learning pay here?"""
