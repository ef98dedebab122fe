"""A form of 30 columns, and its history as a second row of JSON."""

from django.contrib.auth.models import User
from django.db import models

POINTS = [(n, f"{n}") for n in range(6)]
SIDES = [("left", "좌"), ("right", "우"), ("both", "양측")]
GAUGES = [(code, code.upper()) for code in ("g22", "g23", "g25", "g26", "g27", "g29", "g30", "g31")]
POSITIONS = [("prone", "엎드림"), ("supine", "누움")]
YES_NO = [("yes", "예"), ("no", "아니요")]


class Thirty(models.Model):
    index_01 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_02 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_03 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_04 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_05 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_06 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_07 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_08 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_09 = models.IntegerField(choices=POINTS, null=True, blank=True)
    index_10 = models.IntegerField(choices=POINTS, null=True, blank=True)
    done_on = models.DateField(null=True, blank=True)
    pain = models.IntegerField(null=True, blank=True)
    pulse = models.IntegerField(null=True, blank=True)
    days_of_pain = models.IntegerField(null=True, blank=True)
    volume = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    depth = models.DecimalField(max_digits=6, decimal_places=1, null=True, blank=True)
    weight = models.DecimalField(max_digits=6, decimal_places=1, null=True, blank=True)
    diagnosis = models.CharField(max_length=10, blank=True)
    side = models.CharField(max_length=10, choices=SIDES, blank=True)
    needle = models.CharField(max_length=10, choices=GAUGES, blank=True)
    position = models.CharField(max_length=10, choices=POSITIONS, blank=True)
    level = models.CharField(max_length=60, blank=True)
    purpose = models.CharField(max_length=60, blank=True)
    cover = models.CharField(max_length=3, choices=YES_NO, blank=True)
    gloves = models.CharField(max_length=3, choices=YES_NO, blank=True)
    other_treatment = models.CharField(max_length=3, choices=YES_NO, blank=True)
    which_treatment = models.CharField(max_length=200, blank=True)
    since_when = models.CharField(max_length=10, blank=True)
    lot = models.CharField(max_length=40, blank=True)
    remark = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.pk}"


class History(models.Model):
    record = models.ForeignKey(Thirty, models.PROTECT)
    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(User, models.PROTECT)
    values = models.JSONField()

    def __str__(self) -> str:
        return f"{self.pk}"
