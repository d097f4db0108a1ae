/* Follows the message's way back through our own hosts (docs/design.md, section 11). */

#include "lib.h"
#include "net.h"
#include "text/text.h"
#include "spf-limits.h"
#include "spf-addresses.h"
#include "spf-origin.h"
#include "spf-received.h"

static void
origin_set(struct spf_origin *origin, enum spf_origin_kind kind,
	   const char *reason)
{
	origin->kind = kind;
	origin->reason = reason;
}

static void
origin_set_client(struct spf_origin *origin, const struct ip_addr *ip,
		  const char *helo, const char *reason)
{
	origin_set(origin, SPF_ORIGIN_CLIENT, reason);
	origin->client_ip = *ip;
	origin->helo = helo;
}

/* What a relay's field says, and the way ends there. Other kinds lead on. */
static const struct {
	enum spf_origin_kind kind;
	const char *reason;
} ends[] = {
	[SPF_RECEIVED_UNKNOWN] = { SPF_ORIGIN_UNKNOWN,
		"Received field of a trusted relay not understood" },
	[SPF_RECEIVED_AUTHENTICATED] = { SPF_ORIGIN_LOCAL,
		"submitted by an authenticated user" },
	[SPF_RECEIVED_SUBMITTED] = { SPF_ORIGIN_LOCAL,
		"submitted on a trusted relay" },
	[SPF_RECEIVED_FETCHED] = { SPF_ORIGIN_FETCHED, "fetched from elsewhere" },
	[SPF_RECEIVED_HANDED_ON] = { .reason = NULL },
	[SPF_RECEIVED_REQUEUED] = { .reason = NULL },
};

/* One more hop back. Returns TRUE if the next field was written by a relay
   too, FALSE if the origin is found. */
static bool
origin_hop(const struct spf_received *received,
	   const struct spf_networks *relays, struct spf_origin *origin)
{
	if (received->kind != SPF_RECEIVED_CLIENT) {
		origin_set(origin, ends[received->kind].kind,
			   ends[received->kind].reason);
		return origin->reason == NULL;
	}
	if (spf_networks_have(relays, &received->ip))
		return TRUE;
	if (received->lmtp) {
		origin_set(origin, SPF_ORIGIN_UNKNOWN,
			   "LMTP client is no trusted relay");
	} else {
		origin_set_client(origin, &received->ip, received->helo,
				  "Received field of a trusted relay");
	}
	return FALSE;
}

/* All fields were written by relays; last: the lowest one. */
static void
origin_end(const struct spf_received *last, struct spf_origin *origin)
{
	if (last->kind == SPF_RECEIVED_REQUEUED ||
	    (last->kind == SPF_RECEIVED_CLIENT && !last->lmtp)) {
		origin_set(origin, SPF_ORIGIN_LOCAL,
			   "came from a trusted relay");
	} else {
		origin_set(origin, SPF_ORIGIN_UNKNOWN,
			   "no Received field of an MX");
	}
}

static bool
next_received(struct header_fields *fields, struct header_field *field_r)
{
	while (header_fields_next(fields, field_r)) {
		if (header_field_is(field_r, "Received"))
			return TRUE;
	}
	return FALSE;
}

/* Leaves fields behind the field that decides. */
static void
origin_follow(struct header_fields *fields, const struct spf_networks *relays,
	      pool_t pool, struct spf_origin *origin)
{
	struct header_field field;
	struct spf_received received;
	unsigned int hops = 0;

	i_zero(&received);
	while (next_received(fields, &field)) {
		if (++hops > SPF_MAX_HOPS) {
			origin_set(origin, SPF_ORIGIN_UNKNOWN,
				   "too many Received fields");
			return;
		}
		spf_received_parse(pool, field.value, field.value_size,
				   &received);
		if (!origin_hop(&received, relays, origin))
			return;
	}
	origin_end(&received, origin);
}

/* Returns FALSE if XCLIENT names none, or just one more hop. */
static bool
origin_from_xclient(const struct spf_origin_source *source, pool_t pool,
		    struct spf_origin *origin)
{
	struct ip_addr ip;

	if (source->xclient_ip.family == 0)
		return FALSE;
	if (net_ipv6_mapped_ipv4_convert(&source->xclient_ip, &ip) < 0)
		ip = source->xclient_ip;
	if (spf_networks_have(source->relays, &ip))
		return FALSE;
	origin_set_client(origin, &ip,
		p_strdup(pool, spf_received_helo(source->xclient_helo)),
		"XCLIENT");
	return TRUE;
}

void spf_origin_find(const struct spf_origin_source *source, pool_t pool,
		     struct spf_origin *origin_r)
{
	struct header_fields fields =
		header_fields(source->header, source->header_size);

	i_zero(origin_r);
	if (!origin_from_xclient(source, pool, origin_r))
		origin_follow(&fields, source->relays, pool, origin_r);
	if (origin_r->kind == SPF_ORIGIN_CLIENT &&
	    spf_networks_have(source->networks, &origin_r->client_ip)) {
		i_zero(origin_r);
		origin_set(origin_r, SPF_ORIGIN_NETWORK,
			   "client of a trusted network");
	}
}

size_t spf_origin_trusted_size(const void *header, size_t size,
			       const struct spf_networks *relays)
{
	pool_t pool = pool_alloconly_create("spf origin", 512);
	struct spf_origin origin;
	struct header_fields fields = header_fields(header, size);
	struct header_field field;

	i_zero(&origin);
	origin_follow(&fields, relays, pool, &origin);
	pool_unref(&pool);
	if (origin.kind != SPF_ORIGIN_CLIENT ||
	    !next_received(&fields, &field))
		return size;
	return field.name - (const unsigned char *)header;
}
