"""Photos that may be shown, to try things on: fetched once from their public source, checked, and kept.

They are kept in the folder that the environment variable `AL_AGENT_DATA` names, or in `~/.al-agent/data`. What is there is
not fetched again. Fetching takes pooch: `pip install "al-agent[tutorials]"`.
"""

from .catalogue import fetch_blood_cells, fetch_indoor_photos
from .photos import SamplePhotos

__all__ = ["SamplePhotos", "fetch_blood_cells", "fetch_indoor_photos"]
