from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplaceAvailabilityRequest(_message.Message):
    __slots__ = ("metadata", "service_availability", "confirm_closing")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SERVICE_AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_CLOSING_FIELD_NUMBER: _ClassVar[int]
    metadata: FeedMetadata
    service_availability: _containers.RepeatedCompositeFieldContainer[ServiceAvailability]
    confirm_closing: bool
    def __init__(self, metadata: _Optional[_Union[FeedMetadata, _Mapping]] = ..., service_availability: _Optional[_Iterable[_Union[ServiceAvailability, _Mapping]]] = ..., confirm_closing: _Optional[bool] = ...) -> None: ...

class FeedMetadata(_message.Message):
    __slots__ = ("generation_timestamp", "processing_instruction")
    GENERATION_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    generation_timestamp: int
    processing_instruction: str
    def __init__(self, generation_timestamp: _Optional[int] = ..., processing_instruction: _Optional[str] = ...) -> None: ...

class ServiceAvailability(_message.Message):
    __slots__ = ("start_timestamp_restrict", "end_timestamp_restrict", "merchant_id_restrict", "service_id_restrict", "availability", "resources_restrict", "duration_restrict_sec")
    START_TIMESTAMP_RESTRICT_FIELD_NUMBER: _ClassVar[int]
    END_TIMESTAMP_RESTRICT_FIELD_NUMBER: _ClassVar[int]
    MERCHANT_ID_RESTRICT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_RESTRICT_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_RESTRICT_FIELD_NUMBER: _ClassVar[int]
    DURATION_RESTRICT_SEC_FIELD_NUMBER: _ClassVar[int]
    start_timestamp_restrict: int
    end_timestamp_restrict: int
    merchant_id_restrict: str
    service_id_restrict: str
    availability: _containers.RepeatedCompositeFieldContainer[Availability]
    resources_restrict: Resources
    duration_restrict_sec: int
    def __init__(self, start_timestamp_restrict: _Optional[int] = ..., end_timestamp_restrict: _Optional[int] = ..., merchant_id_restrict: _Optional[str] = ..., service_id_restrict: _Optional[str] = ..., availability: _Optional[_Iterable[_Union[Availability, _Mapping]]] = ..., resources_restrict: _Optional[_Union[Resources, _Mapping]] = ..., duration_restrict_sec: _Optional[int] = ...) -> None: ...

class Availability(_message.Message):
    __slots__ = ("merchant_id", "service_id", "start_sec", "duration_sec", "spots_total", "spots_open", "availability_tag", "resources", "recurrence", "schedule_exception")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    START_SEC_FIELD_NUMBER: _ClassVar[int]
    DURATION_SEC_FIELD_NUMBER: _ClassVar[int]
    SPOTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SPOTS_OPEN_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_TAG_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    RECURRENCE_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    service_id: str
    start_sec: int
    duration_sec: int
    spots_total: int
    spots_open: int
    availability_tag: str
    resources: Resources
    recurrence: Recurrence
    schedule_exception: _containers.RepeatedCompositeFieldContainer[ScheduleException]
    def __init__(self, merchant_id: _Optional[str] = ..., service_id: _Optional[str] = ..., start_sec: _Optional[int] = ..., duration_sec: _Optional[int] = ..., spots_total: _Optional[int] = ..., spots_open: _Optional[int] = ..., availability_tag: _Optional[str] = ..., resources: _Optional[_Union[Resources, _Mapping]] = ..., recurrence: _Optional[_Union[Recurrence, _Mapping]] = ..., schedule_exception: _Optional[_Iterable[_Union[ScheduleException, _Mapping]]] = ...) -> None: ...

class Resources(_message.Message):
    __slots__ = ("staff_id", "room_id", "party_size")
    STAFF_ID_FIELD_NUMBER: _ClassVar[int]
    ROOM_ID_FIELD_NUMBER: _ClassVar[int]
    PARTY_SIZE_FIELD_NUMBER: _ClassVar[int]
    staff_id: str
    room_id: str
    party_size: int
    def __init__(self, staff_id: _Optional[str] = ..., room_id: _Optional[str] = ..., party_size: _Optional[int] = ...) -> None: ...

class Recurrence(_message.Message):
    __slots__ = ("repeat_every_sec", "repeat_until_sec")
    REPEAT_EVERY_SEC_FIELD_NUMBER: _ClassVar[int]
    REPEAT_UNTIL_SEC_FIELD_NUMBER: _ClassVar[int]
    repeat_every_sec: int
    repeat_until_sec: int
    def __init__(self, repeat_every_sec: _Optional[int] = ..., repeat_until_sec: _Optional[int] = ...) -> None: ...

class ScheduleException(_message.Message):
    __slots__ = ("time_range",)
    TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    time_range: TimeRange
    def __init__(self, time_range: _Optional[_Union[TimeRange, _Mapping]] = ...) -> None: ...

class TimeRange(_message.Message):
    __slots__ = ("begin_sec", "end_sec")
    BEGIN_SEC_FIELD_NUMBER: _ClassVar[int]
    END_SEC_FIELD_NUMBER: _ClassVar[int]
    begin_sec: int
    end_sec: int
    def __init__(self, begin_sec: _Optional[int] = ..., end_sec: _Optional[int] = ...) -> None: ...

class ReplaceAvailabilityResponse(_message.Message):
    __slots__ = ("slots", "removed", "days", "days_over", "days_newer", "closed_merchants")
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    DAYS_OVER_FIELD_NUMBER: _ClassVar[int]
    DAYS_NEWER_FIELD_NUMBER: _ClassVar[int]
    CLOSED_MERCHANTS_FIELD_NUMBER: _ClassVar[int]
    slots: int
    removed: int
    days: int
    days_over: int
    days_newer: _containers.RepeatedScalarFieldContainer[str]
    closed_merchants: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, slots: _Optional[int] = ..., removed: _Optional[int] = ..., days: _Optional[int] = ..., days_over: _Optional[int] = ..., days_newer: _Optional[_Iterable[str]] = ..., closed_merchants: _Optional[_Iterable[str]] = ...) -> None: ...
