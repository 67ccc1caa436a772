import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_HELD: _ClassVar[EventKind]
    EVENT_KIND_EXTENDED: _ClassVar[EventKind]
    EVENT_KIND_RELEASED: _ClassVar[EventKind]
    EVENT_KIND_EXPIRED: _ClassVar[EventKind]
    EVENT_KIND_CONSUMED: _ClassVar[EventKind]
    EVENT_KIND_BOOKING_CREATED: _ClassVar[EventKind]
    EVENT_KIND_BOOKING_MOVED: _ClassVar[EventKind]
    EVENT_KIND_BOOKING_CANCELED: _ClassVar[EventKind]
    EVENT_KIND_BOOKING_CONFIRMED: _ClassVar[EventKind]
    EVENT_KIND_BOOKING_NO_SHOW: _ClassVar[EventKind]
    EVENT_KIND_BOOKING_NO_SHOW_PENALIZED: _ClassVar[EventKind]
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_HELD: EventKind
EVENT_KIND_EXTENDED: EventKind
EVENT_KIND_RELEASED: EventKind
EVENT_KIND_EXPIRED: EventKind
EVENT_KIND_CONSUMED: EventKind
EVENT_KIND_BOOKING_CREATED: EventKind
EVENT_KIND_BOOKING_MOVED: EventKind
EVENT_KIND_BOOKING_CANCELED: EventKind
EVENT_KIND_BOOKING_CONFIRMED: EventKind
EVENT_KIND_BOOKING_NO_SHOW: EventKind
EVENT_KIND_BOOKING_NO_SHOW_PENALIZED: EventKind

class EventSpot(_message.Message):
    __slots__ = ("merchant_id", "service_id", "start_time", "duration", "staff_id", "room_id", "party_size", "number")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    STAFF_ID_FIELD_NUMBER: _ClassVar[int]
    ROOM_ID_FIELD_NUMBER: _ClassVar[int]
    PARTY_SIZE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    service_id: str
    start_time: _timestamp_pb2.Timestamp
    duration: _duration_pb2.Duration
    staff_id: str
    room_id: str
    party_size: int
    number: int
    def __init__(self, merchant_id: _Optional[str] = ..., service_id: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., staff_id: _Optional[str] = ..., room_id: _Optional[str] = ..., party_size: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("token", "time", "kind", "lease_id", "booking_id", "spot", "expire_time", "old_spot", "reason")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    BOOKING_ID_FIELD_NUMBER: _ClassVar[int]
    SPOT_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    OLD_SPOT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    token: str
    time: _timestamp_pb2.Timestamp
    kind: EventKind
    lease_id: str
    booking_id: str
    spot: EventSpot
    expire_time: _timestamp_pb2.Timestamp
    old_spot: EventSpot
    reason: str
    def __init__(self, token: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[EventKind, str]] = ..., lease_id: _Optional[str] = ..., booking_id: _Optional[str] = ..., spot: _Optional[_Union[EventSpot, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., old_spot: _Optional[_Union[EventSpot, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("merchant_id", "page_size", "page_token")
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    merchant_id: str
    page_size: int
    page_token: str
    def __init__(self, merchant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
