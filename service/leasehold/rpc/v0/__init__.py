"""The legacy partner API ext.maps.booking.partner.v0."""
