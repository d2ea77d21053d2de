# Takes the model of train.pl from the store and scores everybody with it.
use strict;
use warnings;

system("mfprefect", "session", "model", "--to", "used.rds", "--force") == 0 or exit 1;
open(my $model, "<", "used.rds") or die;
my @weights = split(" ", scalar(<$model>));
open(my $data, "<", "data.csv") or die;
open(my $scores, ">", "scores.csv") or die;
print $scores "person,p\n";
while (my $line = <$data>) {
    my ($person, $y, @x) = split(",", $line);
    my $z = 0;
    $z += $weights[$_] * ($x[$_] - 1.5) for 0 .. 2;
    printf $scores "%s,%.15g\n", $person, 1 / (1 + exp(-$z));
}
close($scores);
system("mfprefect", "session", "log", "--scores", "scores.csv",
    "--entity-id", "person", "--score", "p") == 0 or exit 1;
