import { parse } from 'yaml';
import type { Places } from './proxies.ts';

interface Ingress {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
}

/**
 * The nginx.conf that ingress-nginx makes of an Ingress, as far as a permission is concerned. What its template
 * (rootfs/etc/nginx/template/nginx.tmpl of kubernetes/ingress-nginx) sets in the permission's location and in the service's
 * stands here line by line, with the defaults of its ConfigMap; its Lua, balancer and logs do not.
 */
export function ingressNginx(manifest: string, { port, app }: Places): string {
  const { annotations } = (parse(manifest) as Ingress).metadata;
  const url = annotations['nginx.ingress.kubernetes.io/auth-url'] ?? '';
  const headers = (annotations['nginx.ingress.kubernetes.io/auth-response-headers'] ?? '').split(',');
  const variable = (header: string): string => `upstream_http_${header.toLowerCase().replaceAll('-', '_')}`;
  const copies = headers.flatMap((header, i) => [
    `auth_request_set $authHeader${i} $${variable(header)};`,
    `proxy_set_header '${header}' $authHeader${i};`,
  ]);
  return `events {
}
http {
    underscores_in_headers off;
    ignore_invalid_headers on;
    map $http_upgrade $connection_upgrade {
        default upgrade;
        '' close;
    }
    server {
        listen 127.0.0.1:${port} default_server;
        server_name _;

        location = /_external-auth {
            internal;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Forwarded-Proto "";
            proxy_set_header Host ${new URL(url).host};
            proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Sent-From "nginx-ingress-controller";
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Auth-Request-Redirect $request_uri;
            proxy_http_version 1.1;
            proxy_pass_request_headers on;
            set $target ${url};
            proxy_pass $target;
        }

        location / {
            auth_request /_external-auth;
            ${copies.join('\n            ')}
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_http_version 1.1;
            proxy_pass http://${app};
        }
    }
}
`;
}
