/* The replay budget (DESIGN.md section 4): how many reports on one original are
   called genuine. */

#include "lib.h"
#include "facts-private.h"

/* Reports on recipients that the log doesn't know (a list's members, a
   forwarded copy) share one budget: the message's recipients and this. */
#define FACTS_BUDGET_UNKNOWN_RECIPIENTS 100
/* The same for an original that isn't in the log: a colleague sent it as this
   mailbox (site key), to nobody knows how many. */
#define FACTS_BUDGET_UNKNOWN_MESSAGE 1000

/* RFC 3464, 2.3.2: whom the reporter gave up on. */
static const char *counted_recipient(const struct report_recipient *recipient)
{
	if (recipient->final_recipient != NULL)
		return recipient->final_recipient;
	return recipient->original_recipient;
}

static void
get_counted_recipients(const struct report *report,
		       ARRAY_TYPE(const_string) *recipients_r)
{
	const struct report_recipient *recipient;
	const char *none = "";

	t_array_init(recipients_r, 4);
	array_foreach(&report->recipients, recipient)
		facts_add_address(recipients_r, counted_recipient(recipient));
	if (array_count(recipients_r) == 0)
		array_push_back(recipients_r, &none);
}

static unsigned int
replay_budget(enum report_class class, const struct sent_log_report_count *count)
{
	if (count->recipient_count == 0)
		return FACTS_BUDGET_UNKNOWN_MESSAGE;
	if (!count->recipient_matches) {
		return count->times_sent * (count->recipient_count +
					    FACTS_BUDGET_UNKNOWN_RECIPIENTS);
	}
	return count->times_sent * report_class_info(class)->budget;
}

/* Used up only if it is so for every recipient named: an alias that fans out
   fails for each member. */
void facts_gather_budget(struct facts_context *ctx)
{
	ARRAY_TYPE(const_string) recipients;
	struct sent_log_report_count count;
	const char *recipient, *error;

	if (ctx->facts->original.value == NULL)
		return;
	get_counted_recipients(ctx->report, &recipients);
	array_foreach_elem(&recipients, recipient) {
		if (sent_log_get_report_count(
				ctx->log, &ctx->facts->original,
				report_class_name(ctx->report->class),
				recipient, &count, &error) < 0) {
			facts_log_failed(ctx->facts, error);
			return;
		}
		if (count.reports < replay_budget(ctx->report->class, &count))
			return;
	}
	ctx->facts->verdict.budget_used_up = TRUE;
}

int facts_count_report(const struct facts *facts, const struct report *report,
		       struct sent_log *log, time_t now, const char **error_r)
{
	ARRAY_TYPE(const_string) recipients;
	const char *const *addresses;
	unsigned int count;

	if (facts->original.value == NULL)
		return 0;
	get_counted_recipients(report, &recipients);
	addresses = array_get(&recipients, &count);
	return sent_log_count_report(log, &facts->original,
				     report_class_name(report->class),
				     addresses, count, now, error_r);
}
