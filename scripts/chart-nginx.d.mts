/** The chart's file, of the text of nginx/unified-url.conf. @throws Error where something is not in it any more */
export function chartNginx(text: string): string;
