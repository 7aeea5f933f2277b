"""Charts that lie elsewhere: which version a chart repository or a registry has, and its files in the cache."""

from pipeline.source.charts.charts import Charts
from pipeline.source.charts.pin import Pin
from pipeline.source.charts.secrets import credentials_of_chart_secret

__all__ = ["Charts", "Pin", "credentials_of_chart_secret"]
