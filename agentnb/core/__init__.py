"""The integration core: plain Python that notebooks, scripts, workers and agents import alike."""
