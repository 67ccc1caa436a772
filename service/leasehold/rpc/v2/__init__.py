"""The partner API ext.maps.booking.partner.v2."""
