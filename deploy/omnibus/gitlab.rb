# For /etc/gitlab/gitlab.rb of the secondary: the bundled nginx keeps the registry's hostname, port and certificate, and hands
# pulls, pushes and notifications to geo-registry-proxy. Then: gitlab-ctl reconfigure. To go back, take it out again.
#
# Before GitLab 19 the first line begins with registry_nginx['custom_gitlab_server_config'].
registry['nginx']['custom_gitlab_server_config'] = <<~NGINX
  location ~ ^/(v2/|v2$|api/v4/container_registry_event/events$) {
    proxy_pass http://127.0.0.1:5080;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Geo-Accel "";
    proxy_request_buffering off;
    proxy_buffering off;
    # The bundled nginx caches unless it is told: an answer is for the token that it was given to.
    proxy_cache off;
    proxy_redirect off;
    proxy_read_timeout 900s;
  }
  large_client_header_buffers 4 32k;
NGINX
