/* Names of classes, as headers, logs and settings write them. Needs nothing else of
   the room: doveconf checks settings with it. */

#include "lib.h"
#include "report.h"

static const char *const class_names[REPORT_CLASS_COUNT] = {
	[REPORT_CLASS_NONE]		= "none",
	[REPORT_CLASS_DSN_FAILED]	= "dsn-failed",
	[REPORT_CLASS_DSN_DELAYED]	= "dsn-delayed",
	[REPORT_CLASS_DSN_SUCCESS]	= "dsn-success",
	[REPORT_CLASS_BOUNCE]		= "bounce",
	[REPORT_CLASS_MDN]		= "mdn",
	[REPORT_CLASS_AUTO_REPLY]	= "auto-reply",
	[REPORT_CLASS_CHALLENGE]	= "challenge",
	[REPORT_CLASS_VIRUS_NOTICE]	= "virus-notice",
	[REPORT_CLASS_ARF]		= "arf",
};

const char *report_class_name(enum report_class class)
{
	i_assert(class < REPORT_CLASS_COUNT);
	return class_names[class];
}
