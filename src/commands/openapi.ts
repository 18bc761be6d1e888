export function openapi(): Promise<string> {
  return Promise.reject(new Error('not composed yet'));
}
