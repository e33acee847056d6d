"""One-minute rollups of all tags, for the page: in `data_dir/history.sqlite`, expendable.

outlet ─tap─▶ rollup.py (a few additions a reading) ─each minute─▶ recorder.py ─in a thread─▶ store.py
"""
