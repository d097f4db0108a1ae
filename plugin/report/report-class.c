/* The one table of classes. Needs nothing else of the room: doveconf checks settings
   with it. */

#include "lib.h"
#include "report.h"

static const struct report_class_info report_classes[REPORT_CLASS_COUNT] = {
	[REPORT_CLASS_NONE] = { .name = "none" },
	[REPORT_CLASS_DSN_FAILED] = {
		.name = "dsn-failed", .bounce = TRUE, .budget = 3
	},
	[REPORT_CLASS_DSN_DELAYED] = {
		.name = "dsn-delayed", .bounce = TRUE, .budget = 30
	},
	[REPORT_CLASS_DSN_SUCCESS] = {
		.name = "dsn-success", .bounce = TRUE, .budget = 30
	},
	[REPORT_CLASS_BOUNCE] = {
		.name = "bounce", .bounce = TRUE, .budget = 3
	},
	[REPORT_CLASS_MDN] = {
		.name = "mdn", .budget = 30, .late = TRUE
	},
	[REPORT_CLASS_AUTO_REPLY] = {
		.name = "auto-reply", .budget = 30, .never_convicted = TRUE
	},
	[REPORT_CLASS_CHALLENGE] = { .name = "challenge", .budget = 30 },
	[REPORT_CLASS_VIRUS_NOTICE] = { .name = "virus-notice", .budget = 30 },
	[REPORT_CLASS_ARF] = {
		.name = "arf", .budget = 30, .never_convicted = TRUE
	},
};

const struct report_class_info *report_class_info(enum report_class class)
{
	i_assert(class < REPORT_CLASS_COUNT);
	return &report_classes[class];
}

const char *report_class_name(enum report_class class)
{
	return report_class_info(class)->name;
}
