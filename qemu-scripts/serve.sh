# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A static web server, Debian's nginx, on a loopback port, for one folder. Sourced.

# serve_start WORK ROOT PORT: serves ROOT; its logs and pid stand in WORK/nginx. The access log tells what was fetched.
serve_start() {
        local work=$1/nginx root=$2 port=$3
        mkdir -p "$work"
        cat >"$work/nginx.conf" <<EOT
worker_processes 1;
daemon on;
pid $work/pid;
error_log $work/error.log;
$([ "$(id -u)" != 0 ] || echo "user root;")
events { worker_connections 256; }
http {
        access_log $work/access.log;
        client_body_temp_path $work/tmp; proxy_temp_path $work/tmp; fastcgi_temp_path $work/tmp;
        uwsgi_temp_path $work/tmp; scgi_temp_path $work/tmp;
        sendfile on;
        server { listen 127.0.0.1:$port; root $root; }
}
EOT
        nginx -p "$work" -c "$work/nginx.conf" -e "$work/error.log"
}

serve_stop() {
        [ ! -s "$1/nginx/pid" ] || kill "$(cat "$1/nginx/pid")" 2>/dev/null || true
}

# Body bytes sent since line FROM of the access log.
serve_bytes_since() {
        tail -n "+$(($2 + 1))" "$1/nginx/access.log" | awk '{ sum += $10 } END { printf "%d\n", sum }'
}

serve_mark() {
        wc -l <"$1/nginx/access.log"
}
