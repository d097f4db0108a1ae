# The worker of tests/bench/spf-bench for Mail::SPF: reads what spf-suite-check.c
# reads, answers from memory.

use strict;
use warnings;
use Mail::SPF;
use Net::DNS;
use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID);

package Zone;

sub new { return bless { packets => {} }, shift; }

sub add {
    my ($self, $name, $type, $value) = @_;
    my %data = (A => "address", AAAA => "address", TXT => "txtdata", MX => "exchange");
    my $packet = $self->{packets}{"$name $type"} //= $self->empty($name, $type);
    $packet->push(answer => Net::DNS::RR->new(
        owner => $name, type => $type, $data{$type} => $value,
        $type eq "MX" ? (preference => 10) : ()));
}

sub empty {
    my ($self, $name, $type) = @_;
    my $packet = Net::DNS::Packet->new($name, $type);
    $packet->header->qr(1);
    return $packet;
}

sub send {
    my ($self, $name, $type) = @_;
    $name =~ s/\.$//;
    return $self->{packets}{lc($name) . " $type"} // $self->empty($name, $type);
}

sub errorstring { return "NOERROR"; }

package main;

$| = 1;
my $zone = Zone->new;
my $server = Mail::SPF::Server->new(dns_resolver => $zone, hostname => "mx.example.com");
while (my $line = <STDIN>) {
    chomp $line;
    my ($command, @fields) = map { s/%([0-9A-F]{2})/chr(hex($1))/egr } split /\t/, $line;
    if ($command eq "record") {
        $zone->add(@fields);
        next;
    }
    my ($count, $client, $helo, $mail_from) = @fields;
    my $start = clock_gettime(CLOCK_PROCESS_CPUTIME_ID);
    my $result;
    for (1 .. $count) {
        $result = $server->process(Mail::SPF::Request->new(
            versions => [1], scope => "mfrom", identity => $mail_from,
            ip_address => $client, helo_identity => $helo));
    }
    printf "%s\t%d\n", $result->code,
        (clock_gettime(CLOCK_PROCESS_CPUTIME_ID) - $start) / $count * 1e9;
}
