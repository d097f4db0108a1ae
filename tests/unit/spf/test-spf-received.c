/* plugin/spf/spf-received.c: the shapes that MTAs write, and what a hostile client
   can make of them. */

#include "unit.h"
#include "str.h"
#include "spf/spf-limits.h"
#include "spf/spf-received.h"

struct received_test {
	const char *value;
	enum spf_received_kind kind;
	const char *ip, *helo;
};

#define CLIENT(ip, helo) SPF_RECEIVED_CLIENT, ip, helo
#define OTHER(kind) SPF_RECEIVED_##kind, NULL, NULL

static const struct received_test postfix[] = {
	{ " from out.example.net (out.example.net [192.0.2.9])\r\n"
	  "\tby mx.example.org (Postfix) with ESMTP id 4SMY5s0bV1z\r\n"
	  "\tfor <a@example.org>; Thu, 1 Apr 2021 00:00:00 +0000 (UTC)\r\n",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net (unknown [IPv6:2001:db8::9])\n"
	  "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n"
	  "\t key-exchange X25519 server-signature RSA-PSS (4096 bits))\n"
	  "\t(No client certificate requested)\n"
	  "\tby mx.example.org (Postfix) with ESMTPS id 4SMY5s0bV1z;\n"
	  "\tThu, 1 Apr 2021 00:00:00 +0000 (UTC)\n",
	  CLIENT("2001:db8::9", "out.example.net") },
	{ " from out.example.net (unknown [IPv6:::ffff:192.0.2.9])\n"
	  "\tby mx.example.org (Postfix) with SMTP id 1; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	/* without HELO Postfix writes the name of the address */
	{ " from unknown (unknown [192.0.2.9])\n\tby mx (Postfix) with SMTP id 1;"
	  " date", CLIENT("192.0.2.9", "unknown") },
	/* what a client calls itself is no address */
	{ " from [127.0.0.1] (unknown [192.0.2.9])\n\tby mx (Postfix) with ESMTP "
	  "id 1; date", CLIENT("192.0.2.9", "[127.0.0.1]") },
	{ " from a?[127.0.0.1]? (b [192.0.2.9])\n\tby mx (Postfix) with ESMTP "
	  "id 1; date", CLIENT("192.0.2.9", "a?[127.0.0.1]?") },
	{ " from by (by [192.0.2.9])\n\tby mx (Postfix) with ESMTP id 1; date",
	  CLIENT("192.0.2.9", "by") },
	{ " from with (id [192.0.2.9])\n\tby for (Postfix) with ESMTP id 1; date",
	  CLIENT("192.0.2.9", "with") },
	{ " from h\xc3\xb6st (b [192.0.2.9])\n\tby mx (Postfix) with ESMTP id 1;"
	  " date", CLIENT("192.0.2.9", NULL) },
	{ " from a (b [192.0.2.9])\n\tby mx (Postfix) with ESMTP id 1\n"
	  "\tfor <\"x with ESMTPA\"@example.org>; date",
	  CLIENT("192.0.2.9", "a") },
	{ " from a (b [192.0.2.9])\n"
	  "\t(Client CN \"Authenticated sender: x\", Issuer \"y\" (verified OK))\n"
	  "\tby mx (Postfix) with ESMTPS id 1; date",
	  CLIENT("192.0.2.9", "a") },
	/* nobody knows who it was */
	{ " from a (unknown [unknown])\n\tby mx (Postfix) with ESMTP id 1; date",
	  OTHER(UNKNOWN) },

	{ " from laptop (dsl.example.net [192.0.2.9])\n"
	  "\t(Authenticated sender: jane)\n"
	  "\tby mx.example.org (Postfix) with ESMTPSA id 1; date",
	  OTHER(AUTHENTICATED) },
	{ " from laptop (dsl.example.net [192.0.2.9])\n"
	  "\t(Authenticated sender: jane)\n"
	  "\tby mx.example.org (Postfix) with UTF8SMTP id 1; date",
	  OTHER(AUTHENTICATED) },
	{ " by mx.example.org (Postfix, from userid 1000)\n\tid 1; date",
	  OTHER(SUBMITTED) },
	{ " by mx.example.org (Postfix)\n\tid 1; date", OTHER(REQUEUED) },
	{ " by mx.example.org (Postfix)\r\n\tid 1; date", OTHER(REQUEUED) },
	/* smtpd_hide_client_session */
	{ " by mx.example.org (Postfix) id 1\n\tfor <a@example.org>; date",
	  OTHER(UNKNOWN) },
	{ " from a (b [192.0.2.9])\n\tby mx (Postfix) with QMQP id 1; date",
	  CLIENT("192.0.2.9", "a") },
};

static const struct received_test exim[] = {
	{ " from out.example.net ([192.0.2.9])\n"
	  "\tby mx.example.org with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\n"
	  "\t(Exim 4.96)\n\t(envelope-from <a@example.net>)\n"
	  "\tid 1pX5hI-0004aS-1w\n\tfor b@example.org;\n\tdate",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from rdns.example.net ([192.0.2.9] helo=out.example.net)\n"
	  "\tby mx.example.org with esmtp (Exim 4.96)\n\tid 1; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from rdns.example.net ([192.0.2.9]:4711 helo=out.example.net)\n"
	  "\tby mx.example.org with esmtp (Exim 4.96)\n\tid 1; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from rdns.example.net\n"
	  "\t([192.0.2.9] helo=out.example.net ident=root)\n"
	  "\tby mx.example.org with esmtp (Exim 4.96)\n\tid 1; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from [192.0.2.9] (helo=out.example.net)\n"
	  "\tby mx.example.org with esmtp (Exim 4.96)\n\tid 1; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from [2001:db8::9] (port=4711 helo=[127.0.0.1] ident=x)\n"
	  "\tby mx.example.org with esmtp (Exim 4.96)\n\tid 1; date",
	  CLIENT("2001:db8::9", "[127.0.0.1]") },
	{ " from [192.0.2.9]\n\tby mx.example.org with smtp (Exim 4.96)\n"
	  "\tid 1; date", CLIENT("192.0.2.9", NULL) },
	/* only Exim writes an address there */
	{ " from [192.0.2.9]\n\tby mx.example.org with smtp\n\tid 1; date",
	  OTHER(UNKNOWN) },
	{ " from [127.0.0.1] (helo=[192.0.2.9])\n"
	  "\tby mx.example.org with esmtp (Exim 4.96)\n\tid 1; date",
	  CLIENT("127.0.0.1", "[192.0.2.9]") },

	{ " from rdns.example.net ([192.0.2.9] helo=laptop)\n"
	  "\tby mx.example.org with esmtpsa  (TLS1.3)\n"
	  "\t(Exim 4.96)\n\tid 1; date", OTHER(AUTHENTICATED) },
	{ " from jane by mx.example.org with local (Exim 4.96)\n\tid 1; date",
	  OTHER(SUBMITTED) },
	{ " by mx.example.org with local (Exim 4.96)\n\tid 1; date",
	  OTHER(SUBMITTED) },
	{ " from root (helo=x)\n\tby mx.example.org with local-esmtp (Exim 4.96)\n"
	  "\tid 1; date", OTHER(SUBMITTED) },
	{ " from mail by mx.example.org with spam-scanned (Exim 4.96)\n"
	  "\tid 1; date", OTHER(UNKNOWN) },

	/* helo_accept_junk_hosts: anything goes into the name */
	{ " from [192.0.2.9] (helo=x [127.0.0.1])\n"
	  "\tby mx with esmtp (Exim 4.96)\n\tid 1; date", OTHER(UNKNOWN) },
	{ " from [192.0.2.9] (helo=x helo=y)\n"
	  "\tby mx with esmtp (Exim 4.96)\n\tid 1; date", OTHER(UNKNOWN) },
	{ " from rdns ([192.0.2.9] helo=x [127.0.0.1])\n"
	  "\tby mx with esmtp (Exim 4.96)\n\tid 1; date", OTHER(UNKNOWN) },
	{ " from [192.0.2.9] (helo=x) by mx with esmtpa (y)\n"
	  "\tby mx with esmtp (Exim 4.96)\n\tid 1; date", OTHER(UNKNOWN) },
	{ " from [192.0.2.9] (helo=x) by mx with esmtpa ((y)\n"
	  "\tby mx with esmtp (Exim 4.96)\n"
	  "\t(envelope-from <\"a)) (b\"@example.net>)\n\tid 1; date",
	  OTHER(UNKNOWN) },
	{ " from [192.0.2.9] (helo=x) by mx with esmtpa (y\\)\n"
	  "\tby mx with esmtp (Exim 4.96)\n\tid 1; date", OTHER(UNKNOWN) },
};

static const struct received_test opensmtpd[] = {
	{ " from out.example.net (rdns.example.net [192.0.2.9])\n"
	  "\tby mx.example.org (OpenSMTPD) with ESMTPS id 576b025e "
	  "(TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)\n"
	  "\tfor <a@example.org>;\n\tdate",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net (<unknown> [192.0.2.9])\n"
	  "\tby mx.example.org (OpenSMTPD) with SMTP id 576b025e;\n\tdate",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net (<unknown> [2001:db8::9])\n"
	  "\tby mx.example.org (OpenSMTPD) with ESMTP id 576b025e;\n\tdate",
	  CLIENT("2001:db8::9", "out.example.net") },
	{ " from mx.example.org (mx.example.org [local])\n"
	  "\tby mx.example.org (OpenSMTPD) with ESMTPA id 576b025e;\n\tdate",
	  OTHER(AUTHENTICATED) },
	{ " from localhost (localhost [local])\n"
	  "\tby mx.example.org (OpenSMTPD) with ESMTP id 576b025e;\n\tdate",
	  OTHER(SUBMITTED) },
	{ " from laptop (rdns.example.net [192.0.2.9])\n"
	  "\tby mx.example.org (OpenSMTPD) with SMTPSA id 1 (TLSv1.3) auth=yes "
	  "user=jane;\n\tdate", OTHER(AUTHENTICATED) },
	/* mask-src */
	{ " \n\tby mx.example.org (OpenSMTPD) with ESMTP id 1;\n\tdate",
	  OTHER(UNKNOWN) },
	{ " \n\tby mx.example.org (OpenSMTPD) with ESMTPSA id 1;\n\tdate",
	  OTHER(AUTHENTICATED) },
};

static const struct received_test sendmail[] = {
	{ " from out.example.net (rdns.example.net [192.0.2.9])\n"
	  "\tby mx.example.org (8.17.1/8.17.1/Debian-2) with ESMTPS id 31A\n"
	  "\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)\n"
	  "\tfor <a@example.org>; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net (rdns.example.net [192.0.2.9] (may be forged))\n"
	  "\tby mx.example.org (8.17.1/8.17.1) with SMTP id 31A; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net ([192.0.2.9])\n"
	  "\tby mx.example.org (8.17.1/8.17.1) with SMTP id 31A; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net ([IPv6:2001:db8::9])\n"
	  "\tby mx.example.org (8.17.1/8.17.1) with ESMTP id 31A; date",
	  CLIENT("2001:db8::9", "out.example.net") },
	{ " from out.example.net (IDENT:jane@rdns.example.net [192.0.2.9])\n"
	  "\tby mx.example.org (8.17.1/8.17.1) with ESMTP id 31A; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net (root@[192.0.2.9])\n"
	  "\tby mx.example.org (8.17.1/8.17.1) with ESMTP id 31A; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from [127.0.0.1] ([192.0.2.9])\n"
	  "\tby mx.example.org (8.17.1/8.17.1) with ESMTP id 31A; date",
	  CLIENT("192.0.2.9", "[127.0.0.1]") },
	/* no HELO at all */
	{ " (from rdns.example.net [192.0.2.9])\n"
	  "\tby mx.example.org (8.17.1/8.17.1) with SMTP id 31A; date",
	  CLIENT("192.0.2.9", NULL) },
	{ " (from jane@localhost)\n"
	  "\tby mx.example.org (8.17.1/8.17.1/Submit) id 31A; date",
	  OTHER(SUBMITTED) },
	{ " from localhost (localhost)\n"
	  "\tby mx.example.org (8.17.1/8.17.1) id 31A; date",
	  OTHER(SUBMITTED) },
	{ " from localhost (localhost)\n\tby mx with SMTP; date",
	  OTHER(UNKNOWN) },
	{ " from laptop (dsl.example.net [192.0.2.9])\n"
	  "\t(authenticated bits=0)\n"
	  "\tby mx.example.org (8.17.1/8.17.1) with ESMTPSA id 31A; date",
	  OTHER(AUTHENTICATED) },
	{ " from laptop (dsl.example.net [192.0.2.9])\n\t(authenticated)\n"
	  "\tby mx.example.org (8.11.6/8.11.6) with ESMTP id 31A; date",
	  OTHER(AUTHENTICATED) },
	/* loose source route */
	{ " from a (rdns [192.0.2.9@127.0.0.1])\n\tby mx (8.17.1/8.17.1) with "
	  "ESMTP id 31A; date", OTHER(UNKNOWN) },
};

static const struct received_test others[] = {
	/* Exchange folds anywhere */
	{ " from out.example.net (192.0.2.9) by\r\n"
	  " EX01.corp.example (10.0.0.5) with Microsoft SMTP Server (TLS) id\r\n"
	  " 15.1.2507.16; Thu, 1 Apr 2021 00:00:00 +0000\r\n",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net\r\n (2001:db8::9) by EX01.corp.example\r\n"
	  " (2001:db8:1::5) with Microsoft SMTP Server (version=TLS1_2,\r\n"
	  " cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.6156.21 via\r\n"
	  " Frontend Transport; date", CLIENT("2001:db8::9", "out.example.net") },
	{ " from EX01.corp.example ([fe80::1%12]) by EX01.corp.example\r\n"
	  " ([fe80::1%12]) with mapi id 15.01.2507.016; date", OTHER(SUBMITTED) },
	{ " from EX02.corp.example (fe80::1%12) by EX01.corp.example\r\n"
	  " (fe80::2%12) with Microsoft SMTP Server id 15.01; date",
	  CLIENT("fe80::1", "EX02.corp.example") },
	{ " from out.example.net ([192.0.2.9]) by EX01.corp.example with "
	  "Microsoft SMTPSVC(7.5.7601.22751);\n\t date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net ([192.0.2.9]) by ex over TLS secured channel "
	  "with Microsoft SMTPSVC(7.5.7601.22751); date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from mail pickup service by ex with Microsoft SMTPSVC; date",
	  OTHER(UNKNOWN) },
	/* amavisd, before Postfix again */
	{ " from mx.example.org ([127.0.0.1])\n"
	  "\tby localhost (mx.example.org [127.0.0.1]) (amavisd-new, port 10024)\n"
	  "\twith ESMTP id 8R7l0mnvWKBk for <a@example.org>;\n\tdate",
	  CLIENT("127.0.0.1", "mx.example.org") },
	{ " from mx.example.org ([unix socket])\n"
	  "\tby localhost (mx.example.org [unix socket]) (amavisd-new, unix "
	  "socket)\n\twith LMTP id 8R7l0mnvWKBk; date", OTHER(HANDED_ON) },
	/* Dovecot */
	{ " from mx.example.org ([127.0.0.1])\r\n\tby mx.example.org with LMTP\r\n"
	  "\tid cJ5sLgkAAAA\r\n\t(envelope-from <a@example.net>)\r\n"
	  "\tfor <b@example.org>; date", CLIENT("127.0.0.1", "mx.example.org") },
	{ " from mx.example.org\r\n\tby mx.example.org with LMTP\r\n"
	  "\tid cJ5sLgkAAAA\r\n\t(envelope-from <a@example.net>)\r\n"
	  "\tfor <b@example.org>; date", OTHER(HANDED_ON) },
	{ " from [127.0.0.1]\r\n\tby mx.example.org with LMTPS\r\n"
	  "\tid cJ5sLgkAAAA; date", OTHER(HANDED_ON) },
	{ " from mx.example.org by mx.example.org (Dovecot) with LMTP id x\n"
	  "\tfor <b@example.org>; date", OTHER(HANDED_ON) },
	/* qmail */
	{ " from rdns.example.net (HELO out.example.net) (192.0.2.9)\n"
	  "  by mx.example.org with SMTP; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " from out.example.net (root@192.0.2.9)\n"
	  "  by mx.example.org with SMTP; date",
	  CLIENT("192.0.2.9", "out.example.net") },
	{ " (qmail 20255 invoked from network); 29 Apr 2009 23:34:45 -0000",
	  OTHER(HANDED_ON) },
	{ " (qmail 20255 invoked by uid 505); 29 Apr 2009 23:34:45 -0000",
	  OTHER(SUBMITTED) },
	{ " (qmail 20255 invoked for bounce); 29 Apr 2009 23:34:45 -0000",
	  OTHER(UNKNOWN) },
	/* fetched */
	{ " from pop.example.net [192.0.2.9]\n"
	  "\tby localhost with POP3 (fetchmail-6.4.37)\n"
	  "\tfor <jane@localhost> (single-drop); date", OTHER(FETCHED) },
	{ " from imap.example.net (192.0.2.9) by mx with IMAP4-SSL; date",
	  OTHER(FETCHED) },
	{ " from [192.0.2.9] by web.example.net via HTTP; date",
	  OTHER(FETCHED) },
	{ " by 10.200.3.30 with HTTP; date", OTHER(FETCHED) },
	/* folded once more on the way */
	{ " from out.example.net (rdns.example.net\r\n"
	  "    [192.0.2.9] (may \n be forged)) by mx.example.org (8.17.1/8.17.1)\r\n"
	  "    with ESMTP id 31A; date", CLIENT("192.0.2.9", "out.example.net") },
	/* somebody else's insides */
	{ " by 10.14.188.136 with SMTP id a8cs1966een; date", OTHER(UNKNOWN) },
	{ " from a ([192.0.2.1] [192.0.2.9]) by mx with ESMTP; date",
	  OTHER(UNKNOWN) },
	{ " from a (unverified [192.0.2.9]) by mx with ESMTP; date",
	  CLIENT("192.0.2.9", "a") },
	{ " from a ([192.0.2.9] verified)\n\tby mx (CommuniGate Pro SMTP 6.1) "
	  "with ESMTP id 1; date", OTHER(UNKNOWN) },
};

/* An MTA that writes HELO names as they come. */
static const struct received_test hostile[] = {
	{ " from evil (x [127.0.0.1]) (real [192.0.2.9])\n\tby mx with ESMTP; date",
	  OTHER(UNKNOWN) },
	{ " from evil(x [127.0.0.1]) (real [192.0.2.9])\n\tby mx with ESMTP; date",
	  OTHER(UNKNOWN) },
	{ " from evil ([127.0.0.1] (real [192.0.2.9])\n\tby mx with ESMTP; date",
	  OTHER(UNKNOWN) },
	{ " from evil ((real [192.0.2.9])\n\tby mx with ESMTP; date",
	  OTHER(UNKNOWN) },
	{ " from evil) (real [192.0.2.9])\n\tby mx with ESMTP; date",
	  OTHER(UNKNOWN) },
	{ " from evil\\ (real [192.0.2.9])\n\tby mx with ESMTP; date",
	  CLIENT("192.0.2.9", NULL) },
	{ " from \"evil (real [192.0.2.9])\n\tby mx with ESMTP; date",
	  CLIENT("192.0.2.9", NULL) },
	{ " from \"evil ([127.0.0.1])\" (real [192.0.2.9])\n\tby mx with ESMTP; "
	  "date", OTHER(UNKNOWN) },
	{ " from evil (x [127.0.0.1]) by mx with ESMTP; ( (real [192.0.2.9])\n"
	  "\tby mx with ESMTP; date", OTHER(UNKNOWN) },
	{ " from evil (x [127.0.0.1]) by mx with ESMTP; date (real [192.0.2.9]) "
	  "by mx with ESMTP; date", OTHER(UNKNOWN) },
	{ " from evil (x [127.0.0.1]) by mx with ESMTP id for (real [192.0.2.9]) "
	  "by mx with ESMTP; date", OTHER(UNKNOWN) },
	{ " from x) (127.0.0.1) ( (192.0.2.9)\n by mx with SMTP; date",
	  OTHER(UNKNOWN) },
	{ " from unknown (HELO x) (127.0.0.1) ( ) (192.0.2.9)\n"
	  " by mx with SMTP; date", OTHER(UNKNOWN) },
	{ " from unknown (HELO x) (127.0.0.1) by mx with SMTP; ( ) (192.0.2.9)\n"
	  " by mx with SMTP; date", OTHER(UNKNOWN) },
	/* a name so long that some hop broke the line inside of it */
	{ " from evil\n (x [127.0.0.1]) (real [192.0.2.9])\n\tby mx with ESMTP; "
	  "date", OTHER(UNKNOWN) },
	{ " from evil (x [127.0.0.1])\n by a with b (real [192.0.2.9])\n"
	  "\tby mx with ESMTP; date", OTHER(UNKNOWN) },

	/* no addresses */
	{ " from a (b [127.1])\n\tby mx with ESMTP; date", OTHER(UNKNOWN) },
	{ " from a (b [2130706433])\n\tby mx with ESMTP; date", OTHER(UNKNOWN) },
	{ " from a (b [0x7f.0.0.1])\n\tby mx with ESMTP; date", OTHER(UNKNOWN) },
	{ " from a (b [192.0.2.256])\n\tby mx with ESMTP; date",
	  OTHER(UNKNOWN) },
	{ " from a (b [IPv6:192.0.2.9])\n\tby mx with ESMTP; date",
	  OTHER(UNKNOWN) },
	{ " from a (b [])\n\tby mx with ESMTP; date", OTHER(UNKNOWN) },
	{ " from a ()\n\tby mx with ESMTP; date", OTHER(UNKNOWN) },
	{ " from a (])\n\tby mx with ESMTP; date", OTHER(UNKNOWN) },
	/* no fields */
	{ "", OTHER(UNKNOWN) },
	{ " ", OTHER(UNKNOWN) },
	{ " from", OTHER(UNKNOWN) },
	{ " from a", OTHER(UNKNOWN) },
	{ " from a (b [192.0.2.9])", OTHER(UNKNOWN) },
	{ " from a (b [192.0.2.9]) by", OTHER(UNKNOWN) },
	{ " from a (b [192.0.2.9]) by (", OTHER(UNKNOWN) },
	{ " from a (b [192.0.2.9]) by mx (\\", OTHER(UNKNOWN) },
	{ " by", OTHER(UNKNOWN) },
	{ " by mx with", OTHER(UNKNOWN) },
	{ " (", OTHER(UNKNOWN) },
	{ " )", OTHER(UNKNOWN) },
	{ " (from ", OTHER(UNKNOWN) },
	{ " (from )", OTHER(UNKNOWN) },
	{ " ;", OTHER(UNKNOWN) },
	/* whole enough */
	{ "from a (b [192.0.2.9])\n\tby mx", CLIENT("192.0.2.9", "a") },
};

static void
check(const struct received_test *test, const struct spf_received *received)
{
	struct ip_addr ip;

	if (received->kind != test->kind) {
		fail_msg("%s: kind %d instead of %d", test->value,
			 received->kind, test->kind);
	}
	if (test->ip == NULL) {
		assert_int_equal(received->ip.family, 0);
		assert_null(received->helo);
		return;
	}
	assert_int_equal(net_addr2ip(test->ip, &ip), 0);
	if (!net_ip_compare(&ip, &received->ip))
		fail_msg("%s: %s", test->value, net_ip2addr(&received->ip));
	if (null_strcmp(received->helo, test->helo) != 0)
		fail_msg("%s: helo %s", test->value, received->helo);
}

static pool_t pool;

static void
parse(const char *value, size_t size, struct spf_received *received_r)
{
	p_clear(pool);
	spf_received_parse(pool, (const unsigned char *)value, size,
			   received_r);
}

static void check_all(const struct received_test *tests, unsigned int count)
{
	struct spf_received received;

	for (unsigned int i = 0; i < count; i++) T_BEGIN {
		parse(tests[i].value, strlen(tests[i].value), &received);
		check(&tests[i], &received);
	} T_END;
}

#define TABLE(name) \
static void test_##name(void **state ATTR_UNUSED) \
{ \
	check_all(name, N_ELEMENTS(name)); \
}

TABLE(postfix)
TABLE(exim)
TABLE(opensmtpd)
TABLE(sendmail)
TABLE(others)
TABLE(hostile)

static int setup(void **state ATTR_UNUSED)
{
	pool = pool_alloconly_create("test", 1024);
	return 0;
}

static int teardown(void **state ATTR_UNUSED)
{
	pool_unref(&pool);
	return 0;
}

static void test_lmtp(void **state ATTR_UNUSED)
{
	static const char *const lmtp = " from mx ([192.0.2.9])\n\tby a with LMTP";
	static const char *const smtp = " from mx ([192.0.2.9])\n\tby a with SMTP";
	struct spf_received received;

	parse(lmtp, strlen(lmtp), &received);
	assert_true(received.lmtp);
	parse(smtp, strlen(smtp), &received);
	assert_false(received.lmtp);
}

static void test_nul(void **state ATTR_UNUSED)
{
	static const char value[] =
		" from a (b [192.0.2.9])\n\tby mx\0 with ESMTP";
	struct spf_received received;

	parse(value, sizeof(value) - 1, &received);
	assert_int_equal(received.kind, SPF_RECEIVED_UNKNOWN);
}

static const char *with_helo(char c, size_t size)
{
	string_t *value = t_str_new(size + 64);

	str_append(value, " from ");
	for (; size > 0; size--)
		str_append_c(value, c);
	str_append(value, " (b [192.0.2.9])\n\tby mx with ESMTP; date");
	return str_c(value);
}

static void test_long_helo(void **state ATTR_UNUSED)
{
	struct spf_received received;
	const char *value;

	value = with_helo('a', SPF_MAX_DOMAIN);
	parse(value, strlen(value), &received);
	assert_int_equal(strlen(received.helo), SPF_MAX_DOMAIN);

	value = with_helo('a', SPF_MAX_DOMAIN + 1);
	parse(value, strlen(value), &received);
	assert_int_equal(received.kind, SPF_RECEIVED_CLIENT);
	assert_null(received.helo);

	value = with_helo('(', SPF_MAX_FIELD - 100);
	parse(value, strlen(value), &received);
	assert_int_equal(received.kind, SPF_RECEIVED_UNKNOWN);

	value = with_helo('a', SPF_MAX_FIELD);
	parse(value, strlen(value), &received);
	assert_int_equal(received.kind, SPF_RECEIVED_UNKNOWN);
}

/* Whatever is cut off, nothing but the client or nothing comes out. */
static void test_truncated(void **state ATTR_UNUSED)
{
	const char *value = postfix[1].value;
	struct spf_received received;

	for (size_t size = 0; size < strlen(value); size++) T_BEGIN {
		parse(value, size, &received);
		if (received.kind != SPF_RECEIVED_UNKNOWN)
			check(&postfix[1], &received);
	} T_END;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_postfix),
		TEST(test_exim),
		TEST(test_opensmtpd),
		TEST(test_sendmail),
		TEST(test_others),
		TEST(test_hostile),
		TEST(test_lmtp),
		TEST(test_nul),
		TEST(test_long_helo),
		TEST(test_truncated),
	};

	return UNIT_RUN(tests);
}
