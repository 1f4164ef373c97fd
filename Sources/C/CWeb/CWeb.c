// CWeb
