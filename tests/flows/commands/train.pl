# What docs/commands.md does in R, where R cannot be had: one step of Newton's method on made-up data.
use strict;
use warnings;

my @names = ("parity", "spontaneous", "induced");
my (@test, @sum, @square, $n, $mean);
$mean = 0;
open(my $data, ">", "data.csv") or die;
for my $person (1 .. 248) {
    my @x = ($person * 7 % 5 + 1, $person * 11 % 3, $person * 13 % 4);
    my $y = $x[1] + $x[2] + $person * 17 % 5 / 2 > 3.4 ? 1 : 0;
    print $data join(",", $person, $y, @x), "\n";
    if ($person % 3 == 0) { push @test, [$y, @x]; next; }
    $n++;
    for my $i (0 .. 2) {
        $sum[$i] += ($y - 0.5) * ($x[$i] - 1.5);
        $square[$i] += ($x[$i] - 1.5)**2 / 4;
    }
}
close($data);
my @weights = map { $sum[$_] / $square[$_] } 0 .. 2;

open(my $model, ">", "model.rds") or die;
print $model join(" ", map { sprintf("%.17g", $_) } @weights), "\n";
close($model);
open(my $tested, ">", "tested.csv") or die;
print $tested "y,p\n";
for my $row (@test) {
    my ($y, @x) = @$row;
    my $z = 0;
    $z += $weights[$_] * ($x[$_] - 1.5) for 0 .. 2;
    printf $tested "%d,%.15g\n", $y, 1 / (1 + exp(-$z));
}
close($tested);
open(my $importance, ">", "importance.csv") or die;
print $importance "variable,importance,coefficient\n";
printf $importance "%s,%.15g,%.15g\n", $names[$_], abs($weights[$_]), $weights[$_] for 0 .. 2;
close($importance);

system("mfprefect", "session", "log", "--model", "model.rds",
    "--test-results", "tested.csv", "--actual", "y", "--score", "p",
    "--importance", "importance.csv", "--kind", "weight") == 0 or exit 1;
