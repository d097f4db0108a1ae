/* backscatter-milter. */

#include "log.h"

int main(void)
{
	log_info("starting");
	return 0;
}
