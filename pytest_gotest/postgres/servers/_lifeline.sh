# The first process of a container: a server that lives as long as our standard input is open.
#
#   sh -c THIS NAME SETTINGS COMMAND...
#
# COMMAND is the server. Its data are in $PGDATA; where that is not $KEPT, they are a copy of what is in $KEPT.
# SETTINGS are lines for postgresql.conf, added when the server is shut down. Standard input is
#
#   begin VERIFIER   a server with the data as they are kept, and this password, as pg_authid has it, for its superuser
#   end              shut it down cleanly
#   keep             the data that it left are those that are kept, from now on
#
# and its end, however it comes, is the container's. Standard output tells `pytest-gotest: begun`, `... ended` and
# `... kept`.
# For any /bin/sh, and the few programs that Alpine and Debian both have.
set -u
settings=$1
shift

# Two talk to us: standard input, until it says that it is gone, and who waits for a server.
talk=/tmp/pytest-gotest.talk
mkfifo "$talk"
exec 3<>"$talk" 4<&0 </dev/null
rm "$talk"
{
    cat <&4
    echo gone
} >&3 &

fail() {
    echo "pytest-gotest: $1" >&2
    exit 1
}

# In memory, if four times as much is free there and no less than a gigabyte.
copy() {
    need=$(du -sk "$KEPT") && need=$((${need%%[!0-9]*} * 4))
    [ "$need" -gt 1048576 ] || need=1048576
    free=$(grep '^MemAvailable:' /proc/meminfo) && free=${free#*:} && free=${free%kB}
    [ "$((free))" -gt "$need" ] || PGDATA=$DISK
    rm -rf "$PGDATA"
    mkdir -m 700 "$PGDATA" "$PGDATA/base" || fail "there is no place for the data"
    # A process for each database: that is where most of the files are.
    rest='' copying=''
    for part in "$KEPT"/*; do
        [ "$part" = "$KEPT/base" ] || rest="$rest $part"
    done
    for part in "$KEPT"/base/*; do
        cp -a "$part" "$PGDATA/base" &
        copying="$copying $!"
    done
    # shellcheck disable=SC2086 # words without blanks
    cp -a $rest "$PGDATA" || fail "the data cannot be copied"
    for process in $copying; do
        wait "$process" || fail "the data cannot be copied"
    done
}

# The server that the official image runs while it prepares the data listens at no address.
ready() {
    grep -q '^\*$' "$PGDATA/postmaster.pid" && grep -q '^ready' "$PGDATA/postmaster.pid"
} 2>/dev/null

stop() {
    read -r pid _ <"$PGDATA/postmaster.pid" && kill "-$1" "$pid"
}

# The number of the last server, of one that was told to end, and who waits for it while it runs; whether data for
# the next one are there: already now, while nobody has asked.
number=0 ending='' waiting='' new=''
[ "$PGDATA" = "$KEPT" ] || { copy && new=1; }

begin() {
    verifier=$1
    shift
    if [ "$waiting" ]; then
        stop QUIT
        wait "$waiting"
    fi
    number=$((number + 1))
    [ "$PGDATA" = "$KEPT" ] || [ "$new" ] || copy
    new=''
    export PGDATA POSTGRES_PASSWORD="$verifier"
    {
        "$@" 3>&- 4<&-
        echo "ended $number" >&3
    } &
    waiting=$!
    until ready; do
        kill -0 "$waiting" 2>/dev/null || return
        sleep 0.01
    done
    psql -X -q -U postgres -d postgres -c "ALTER ROLE postgres PASSWORD '$verifier'" ||
        fail "the password cannot be set"
    echo "pytest-gotest: begun"
}

while read -r word value <&3; do
    case $word in
    begin) begin "$value" "$@" ;;
    end)
        ending=$number
        stop INT
        ;;
    ended)
        [ "$value" = "$number" ] || continue
        [ "$ending" = "$number" ] || fail "the server has ended"
        waiting=''
        [ -z "$settings" ] || echo "$settings" >>"$PGDATA/postgresql.conf"
        echo "pytest-gotest: ended"
        ;;
    keep)
        rm -rf "$PGDATA.kept"
        mv "$PGDATA" "$PGDATA.kept" || fail "the data cannot be kept"
        KEPT=$PGDATA.kept
        echo "pytest-gotest: kept"
        ;;
    gone) exit ;;
    esac
done
