// What server/http/graphiql.py put into the page: {token, tabs: [{title, query, variables}]}.

const element = document.getElementById("config");

export const config = JSON.parse(element.textContent);

/** What the page's policy asks of a <style> element; scripts can read it and style sheets can't. */
export const nonce = element.nonce;
