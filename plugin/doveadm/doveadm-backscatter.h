#ifndef DOVEADM_BACKSCATTER_H
#define DOVEADM_BACKSCATTER_H

/* The commands of "doveadm backscatter". */

#include "doveadm.h"
#include "doveadm-cmd.h"

extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_sent_add;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_sent_list;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_sent_count;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_import;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_coverage;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_addresses;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_key_list;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_key_rotate;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_key_generate;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_verify;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_spf;
extern struct doveadm_cmd_ver2 doveadm_cmd_backscatter_explain;

#endif
