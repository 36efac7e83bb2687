"""Spark's side of the benchmark, on all cores of this machine:
spark.py wc|sort INPUT RESULT. The work is done in the JVM by the optimizer's
own operators; no record passes through Python.
"""

import glob
import shutil
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

work, source, result = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[*]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.memory", "4g")
    .config("spark.sql.shuffle.partitions", "10")
    .config("spark.log.level", "ERROR")
    .getOrCreate()
)
lines = spark.read.text(source)
if work == "wc":
    words = lines.select(f.explode(f.split("value", "[^A-Za-z]+")).alias("w")).where("w <> ''")
    out = words.groupBy("w").count().select(f.concat_ws(" ", "w", "count").alias("value"))
elif work == "sort":
    out = lines.orderBy("value")
else:
    sys.exit(f"unknown work {work}")
parts = result + ".parts"
out.write.mode("overwrite").text(parts)
with open(result, "wb") as whole:
    for name in sorted(glob.glob(parts + "/part-*")):
        with open(name, "rb") as part:
            shutil.copyfileobj(part, whole)
shutil.rmtree(parts)
# Python leaves its JVM behind, and nobody would count the time of that.
gateway = spark.sparkContext._gateway
spark.stop()
gateway.shutdown()
gateway.proc.stdin.close()
gateway.proc.wait()
